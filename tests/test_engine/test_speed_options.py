"""What makes training faster on a GPU, as options of any training config."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from hyctas_mm.engine.configs import build_runner, set_workers
from hyctas_mm.registry import HOOKS, OPTIM_WRAPPERS
from tests.conftest import run_script
from tests.test_configs import CONFIGS

OPTIONS = ['optim_wrapper.type=Bfloat16OptimWrapper', 'default_hooks.channels_last.type=ChannelsLastHook']
TRAININGS = [path for path in CONFIGS if '_search' not in path.stem]


@pytest.mark.slow
def test_every_training_config_takes_them() -> None:
    for path in TRAININGS:
        cfg = Config.fromfile(path)
        cfg.merge_from_dict(dict(option.split('=') for option in OPTIONS))
        assert OPTIM_WRAPPERS.get(cfg.optim_wrapper.type) and 'optimizer' in cfg.optim_wrapper, path
        assert not {'loss_scale', 'dtype'} & set(cfg.optim_wrapper), f'{path}: of another wrapper'
        assert HOOKS.get(cfg.default_hooks.channels_last.type) and cfg.custom_imports, path


@pytest.mark.slow
def test_a_training_with_all_of_them(fast_training: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = (fast_training, '--work-dir', tmp_path, '--workers', 1, '--cfg-options', *OPTIONS)
    assert run_script(monkeypatch, 'tools/train.py', *arguments) == 0
    kept = Config.fromfile(next(tmp_path.glob('*.py')))
    assert kept.train_dataloader.num_workers == 1 and kept.train_dataloader.persistent_workers
    assert 'Bfloat16OptimWrapper: training on' in next(tmp_path.rglob('*.log')).read_text()
    assert (tmp_path / 'iter_2.pth').is_file()


@pytest.mark.parametrize(
    ('machine', 'expected'),
    [
        ({}, 15),
        (dict(LOCAL_WORLD_SIZE='4'), 3),
        (dict(SLURM_CPUS_PER_TASK='6'), 5),
        (dict(SLURM_CPUS_PER_TASK='8', LOCAL_WORLD_SIZE='2'), 3),
        (dict(LOCAL_WORLD_SIZE='16'), 1),
    ],
)
def test_workers_by_cores(machine: dict[str, str], expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ('LOCAL_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_SIZE', 'SLURM_CPUS_PER_TASK'):
        monkeypatch.delenv(name, raising=False)
    for name, value in machine.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: set(range(16)))
    cfg = Config(dict(train_dataloader=dict(num_workers=4), val_dataloader=dict(num_workers=2), test_dataloader=None))
    set_workers(cfg)
    assert cfg.train_dataloader == cfg.val_dataloader == dict(num_workers=expected, persistent_workers=True)
    set_workers(cfg, 0)
    assert cfg.train_dataloader == dict(num_workers=0, persistent_workers=False)


def test_batches_are_pinned_where_there_is_a_gpu(fast_training: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('hyctas_mm.engine.configs.Runner.from_cfg', lambda cfg: pytest.fail(str(cfg.train_dataloader)))
    cfg = Config.fromfile(fast_training)
    with monkeypatch.context() as there, pytest.raises(pytest.fail.Exception, match="'pin_memory': True"):
        there.setenv('CUDA_VISIBLE_DEVICES', '0')  # mmengine's logger looks there
        there.setattr(torch.cuda, 'is_available', lambda: True)
        build_runner(cfg, 'train')
