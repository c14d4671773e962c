"""Trainings of two steps, for experiments that train many networks."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from mmengine.config import Config

from hyctas_mm.archs import load_arch
from hyctas_mm.engine.export import write_architecture
from tests.test_engine.conftest import SPACE, config
from tests.test_engine.test_handover import FAST


@pytest.fixture(scope='session')
def fast_training(toy_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A subnet config as a file."""
    cfg = config('subnet', toy_root, Path('unused'))
    cfg.pop('work_dir')
    cfg.merge_from_dict({key: value for key, value in FAST.items() if key != 'param_scheduler'})
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
