"""The command line under torchrun on a machine without a GPU, as the README has it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from hyctas_mm.engine.configs import use_launcher
from tests.test_engine.test_search_loop import lines
from tests.tiny_jobs import config

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
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


def test_mpi_has_a_local_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ('LOCAL_RANK', 'OMPI_COMM_WORLD_LOCAL_RANK', 'MASTER_ADDR'):
        monkeypatch.delenv(name, raising=False)
    cfg = Config(dict())
    with pytest.raises(ValueError, match='OMPI_COMM_WORLD_LOCAL_RANK and MASTER_ADDR not set; start with mpirun'):
        use_launcher(cfg, 'mpi')
    monkeypatch.setenv('OMPI_COMM_WORLD_LOCAL_RANK', '3')
    monkeypatch.setenv('MASTER_ADDR', 'localhost')
    monkeypatch.setenv('LOCAL_RANK', '0')  # restored after the test, whatever is set in it
    use_launcher(cfg, 'mpi')
    assert os.environ['LOCAL_RANK'] == '3' and cfg.launcher == 'mpi'


@pytest.mark.parametrize(
    ('launcher', 'variable'),
    [('pytorch', 'LOCAL_RANK'), ('slurm', 'SLURM_LOCALID'), ('mpi', 'OMPI_COMM_WORLD_LOCAL_RANK')],
)
def test_a_process_without_a_gpu_of_its_own_is_told(
    monkeypatch: pytest.MonkeyPatch, launcher: str, variable: str
) -> None:
    monkeypatch.setenv('MASTER_ADDR', 'localhost')
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.setenv(variable, '1')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 1)
    with pytest.raises(ValueError, match=f'--launcher {launcher}: process 1 of this machine.* sees 1 GPU'):
        use_launcher(Config(dict()), launcher)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    use_launcher(Config(dict()), launcher)
