"""The command line in processes as torchrun starts them, on a machine without a GPU.

In tests/test_rehearsal.py torchrun itself starts train.py, and its like starts all commands of the paper.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from hyctas_mm.engine.configs import use_launcher
from tests import forks
from tests.test_engine.test_search_loop import lines
from tests.tiny_jobs import config


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason='mmengine itself starts processes on a GPU')
def test_two_processes_search_as_one(toy_root: Path, supernet: Path, searched: Path, tmp_path: Path) -> None:
    config('search', toy_root, tmp_path, **{'train_cfg.supernet': str(supernet)}).dump(str(tmp_path / 'config.py'))
    options = ('--launcher', 'pytorch', '--work-dir', tmp_path)
    done = forks.run('tools/search.py', tmp_path / 'config.py', *options, count=2)
    assert done.returncode == 0, done.stdout[-4000:]
    assert lines(tmp_path) == lines(searched)


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
