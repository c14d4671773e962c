"""Shared by all tests: one thread for each process, tiny networks, toy streets made once."""

from __future__ import annotations

import gc
import logging
import os
import runpy
import shutil
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mmengine.dataset.base_dataset
import numpy as np
import pytest
import torch
import yapf.yapflib.yapf_api
from hypothesis import settings
from mmengine.registry import init_default_scope

from hyctas_mm import files, register_all_modules
from hyctas_mm.archs import SearchSpace
from hyctas_mm.datasets.toy.streets import generate_toy_streets
from tests import forks
from tests.tiny_jobs import fast_search, fast_training, searched, supernet  # noqa: F401

ROOT = Path(__file__).parents[1]

warnings.filterwarnings('ignore')
register_all_modules()
settings.register_profile('suite', deadline=None, max_examples=60, derandomize=True)
settings.load_profile('suite')

WIDE = dict(
    layers=6,
    base_channels=4,
    stem_widths=[6, 12],
    head_widths=[6, 12],
    low_levels=['none', 's4', 's4s8'],
    head_attentions=[True, False],
)
DETAILED = dict(fine_widths=[16, 24], detail_layers=2, head_depths=[1, 2])


# mmengine has every config that it logs or writes laid out by yapf, which takes a sixth of a small training or search.
yapf.yapflib.yapf_api.FormatCode = lambda text, **_: (text, True)

# It also collects garbage at every data set that it builds, when the network is there already: a tenth of a search.
mmengine.dataset.base_dataset.gc = SimpleNamespace(collect=lambda: 0)


TRAINING = {'supernet', 'searched', 'fast_search'}
"""Fixtures that train or search; whoever uses one is slow."""


def pytest_sessionstart() -> None:
    forks.start_server()
    init_default_scope('mmseg')  # after: programs have none at their start


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Two processes begin with a half each, and take over from each other what is left: each half begins with the files
    that train, the first with the longest test of all, so that none waits for another at the end.
    """
    for item in items:
        if TRAINING & set(getattr(item, 'fixturenames', ())):
            item.add_marker('slow')
    slow = {item.path for item in items if item.get_closest_marker('slow')}
    files = list(dict.fromkeys(item.path for item in items))
    order = [path for half in (0, 1) for path in sorted(files[half::2], key=lambda path: path not in slow)]
    items.sort(key=lambda item: (item.name != 'test_the_paper_at_toy_size', order.index(item.path)))


def pytest_collection_finish() -> None:
    """What is there to stay need not be looked through whenever garbage is collected."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(700, 10, 100)  # whole collections, which trainings and searches of tests begin with, are enough


@pytest.fixture(scope='session', autouse=True)
def machine_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests that time something neither pause the trainings of this machine nor wait for them."""
    files.MACHINE = tmp_path_factory.mktemp('machine') / 'lock'


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    torch.set_num_threads(1)
    init_default_scope('mmseg')  # a panoptic test before may have left mmdet's


def run_script(monkeypatch: pytest.MonkeyPatch, path: str, *arguments: object) -> int | str:
    """Runs a script of ours in this process, where everything is imported already, and returns its exit status.

    Args:
        monkeypatch: pytest's.
        path: E.g. ``'tools/train.py'``.
        *arguments: Its arguments.
    """
    monkeypatch.setattr(sys, 'argv', [path, *map(str, arguments)])
    monkeypatch.syspath_prepend(str((ROOT / path).parent))
    gc.collect()  # what ran before may hold the lock of a folder
    disabled = logging.root.manager.disable  # a tool may silence its process, which here goes on
    try:
        runpy.run_path(str(ROOT / path), run_name='__main__')
    except SystemExit as end:
        return end.code or 0
    finally:
        logging.disable(disabled)
    return 0


compiles = pytest.mark.skipif(
    not shutil.which(os.environ.get('CXX', 'g++')), reason='torch.compile needs a C++ compiler on a CPU'
)
"""For tests of what torch.compile makes."""


@pytest.fixture(scope='session')
def wide_space() -> SearchSpace:
    """A space in which everything is a gene."""
    return SearchSpace.from_dict(WIDE)


def supernet_cfg(space: dict[str, Any] | None = None, num_classes: int = 5) -> dict[str, Any]:
    """Model config of a tiny supernet."""
    space = space or WIDE
    return dict(
        type='EncoderDecoder',
        data_preprocessor=dict(type='SegDataPreProcessor', mean=[128.0] * 3, std=[64.0] * 3, size=(32, 64)),
        backbone=dict(type='HyCTASBackbone', search_space=space, outputs='branches'),
        decode_head=dict(
            type='HyCTASHead', search_space=space, num_classes=num_classes, loss_decode=dict(type='CrossEntropyLoss')
        ),
        train_cfg=dict(),
        test_cfg=dict(mode='whole'),
    )


@pytest.fixture(scope='session')
def toy_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 training and 8 validation toy streets of 64x128."""
    return generate_toy_streets(
        tmp_path_factory.mktemp('toy') / 'streets', num_train=24, num_val=8, height=64, width=128
    )


@pytest.fixture(scope='session')
def real_data() -> Path:
    """The folder named by HYCTAS_DATA; tests that need it are skipped without it."""
    root = os.environ.get('HYCTAS_DATA')
    if not root:
        pytest.skip('HYCTAS_DATA is not set')
    return Path(root)
