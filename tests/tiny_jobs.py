"""A supernet of four training steps, and a search of twelve candidates over it, made once."""

from __future__ import annotations

import shutil
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from hyctas_mm.archs import load_arch
from hyctas_mm.engine import search_loop
from hyctas_mm.engine.configs import set_data_root
from hyctas_mm.engine.export import write_architecture

CONFIGS = Path(__file__).parents[1] / 'configs' / 'quickstart'
SPACE = dict(layers=4, base_channels=4)
SCREENED = {
    'train_cfg.branches': (1,),
    'train_cfg.population': 6,
    'train_cfg.generations': 4,
    'train_cfg.screening': dict(images=3, deviations=0.0),
}
"""Options of a search that gives up on some of its candidates."""
FAST = {
    'train_cfg.max_iters': 2,
    'param_scheduler': None,
    'train_dataloader.num_workers': 0,
    'train_dataloader.persistent_workers': False,
    'train_dataloader.batch_size': 2,
    'auto_scale_lr.base_batch_size': 2,
    'train_dataloader.dataset.indices': 8,
    'test_dataloader.num_workers': 0,
    'test_dataloader.persistent_workers': False,
    'train_dataloader.dataset.pipeline.4.crop_size': (64, 64),
    'model.data_preprocessor.size': (64, 64),
}
"""Options of a training of two steps."""


def config(kind: str, root: Path, work_dir: Path, **options: Any) -> Config:
    """A quickstart config on the tests' toy streets, everything tiny."""
    cfg = Config.fromfile(CONFIGS / f'toy_streets_{kind}.py')
    set_data_root(cfg, str(root))
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False, batch_size=4)
    cfg.auto_scale_lr.base_batch_size = 4
    cfg.train_dataloader.dataset.indices = list(range(8, 24))
    cfg.model.data_preprocessor.size = (64, 64)
    if not kind.endswith('search'):
        cfg.train_dataloader.dataset.pipeline[4].crop_size = (64, 64)
    if kind != 'subnet':
        cfg.model.backbone.search_space = cfg.model.decode_head.search_space = dict(SPACE)
    if kind.endswith('search'):
        cfg.val_dataloader.dataset.indices = 8
        cfg.train_cfg.update(input_hw=(64, 128), objectives=['mIoU', 'macs_g'], calibration_batches=2, num_chosen=2)
        cfg.train_cfg.subnet_config = str(CONFIGS / 'toy_streets_subnet.py')
        if kind == 'search':
            cfg.train_cfg.update(branches=(1, 2), population=3, generations=2)
    else:
        cfg.train_cfg.max_iters = 4
        cfg.param_scheduler = None
    cfg.work_dir = str(work_dir)
    cfg.merge_from_dict(options)
    return cfg


def gradient_search(root: Path, supernet: Path | str, work_dir: Path, **options: Any) -> Config:
    """A search by gradients for two budgets."""
    cfg = config('gradient_search', root, work_dir)
    cfg.train_cfg.update(supernet=str(supernet), cost='macs_g', budgets=(0.02, 0.05), steps=4, candidates=2)
    cfg.train_cfg.choice_dataloader = {**cfg.val_dataloader, 'batch_size': 2}
    cfg.merge_from_dict(options)
    return cfg


def run(cfg: Config, report: bool = False) -> Runner:
    """Trains (or searches) under a name of its own.

    Args:
        cfg: Config of the training or search.
        report: Whether a search writes its report, whose figures take a sixth of a small search.
    """
    cfg.experiment_name = f'test-{time.monotonic_ns()}'
    runner = Runner.from_cfg(cfg)
    with nullcontext() if report else patch.object(search_loop, 'write_report', lambda folder: folder / 'report.html'):
        runner.train()
    return runner


@pytest.fixture(scope='session')
def supernet(toy_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoint of the supernet."""
    work_dir = tmp_path_factory.mktemp('supernet')
    run(config('supernet', toy_root, work_dir))
    return work_dir / 'iter_4.pth'


@pytest.fixture(scope='session')
def searched(toy_root: Path, supernet: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Work dir of a finished search."""
    work_dir = tmp_path_factory.mktemp('search')
    run(config('search', toy_root, work_dir, **{'train_cfg.supernet': str(supernet)}), report=True)
    return work_dir


@pytest.fixture(scope='session')
def fast_training(toy_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A subnet config as a file."""
    cfg = config('subnet', toy_root, Path('unused'))
    cfg.pop('work_dir')
    cfg.merge_from_dict(FAST)
    cfg.param_scheduler = [dict(type='PolyLR', power=0.9, by_epoch=False, begin=0, end=2)]
    path = tmp_path_factory.mktemp('subnet') / 'subnet.py'
    cfg.dump(str(path))
    return path


@pytest.fixture
def fast_search(searched: Path, fast_training: Path, tmp_path: Path) -> Path:
    """Work dir of a finished search whose exported networks train fast."""
    shutil.copytree(searched / 'search', tmp_path / 'work' / 'search')
    for subnet in (tmp_path / 'work' / 'search' / 'subnets').iterdir():
        arch = load_arch(subnet / 'arch.json')
        write_architecture(subnet, Config.fromfile(fast_training), arch, SPACE['base_channels'])
        (subnet / 'weights.pth').unlink()  # would be tested too
    return tmp_path / 'work'
