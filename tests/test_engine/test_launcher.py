"""The command line under torchrun on a machine without a GPU, as the README has it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.test_engine.test_search_loop import lines
from tests.tiny_jobs import config

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(torch.cuda.is_available(), reason='mmengine itself starts processes on a GPU')
@pytest.mark.parametrize('tool', ['train.py', 'search.py'])
def test_two_processes_of_torchrun(toy_root: Path, supernet: Path, searched: Path, tmp_path: Path, tool: str) -> None:
    import yapf.yapflib.yapf_api  # noqa: F401  writes its grammar cache at first use, which two processes must not do at once

    kind = 'search' if tool == 'search.py' else 'supernet'
    options = {'train_cfg.supernet': str(supernet)} if kind == 'search' else {}
    config(kind, toy_root, tmp_path, **options).dump(str(tmp_path / 'config.py'))
    command = [
        sys.executable,
        '-m',
        'torch.distributed.run',
        '--standalone',
        '--nproc_per_node=2',
        f'tools/{tool}',
        str(tmp_path / 'config.py'),
    ]
    done = subprocess.run(
        [*command, '--launcher', 'pytorch', '--work-dir', str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    if kind == 'search':
        assert lines(tmp_path) == lines(searched)
    else:
        assert (tmp_path / 'iter_4.pth').is_file()
