"""Errors of installing, architectures, models and data."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import MODELS

from hyctas_mm.archs import Architecture, SearchSpace, load_arch
from hyctas_mm.datasets import IDDLiteDataset
from hyctas_mm.datasets.toy_streets import generate_toy_streets
from hyctas_mm.engine.hooks.sample_arch_hook import supernet_space
from hyctas_mm.models import HyCTASBackbone, HyCTASHead
from hyctas_mm.models.ops import build_op
from tests.conftest import supernet_cfg
from tests.test_docs.faq import Place, provokes
from tests.test_engine.conftest import config, run

ROOT = Path(__file__).parents[2]
SPACE = dict(layers=4)


# Installing -------------------------------------------------------------------------------------------------------------------


def install(place: Place, *args: str, **environment: str) -> str:
    """What the installer says before it changes anything."""
    variables = dict(os.environ, XDG_CACHE_HOME=str(place.tmp_path / 'cache'), **environment)
    done = subprocess.run(
        ['bash', str(ROOT / 'tools' / 'install.sh'), *args, str(place.tmp_path / 'venv')], env=variables, capture_output=True, text=True, timeout=60
    )
    assert done.returncode and not (place.tmp_path / 'venv').exists()
    return done.stderr.strip()


@provokes('install-option')
def _(place: Place) -> str:
    return install(place, '--fast')


@provokes('install-python')
def _(place: Place) -> str:
    return install(place, PYTHON='python9')


@provokes('install-compiler')
def _(place: Place) -> str:
    return install(place, PYTHON=sys.executable, CXX='nope')


@provokes('install-import')
def _(place: Place) -> str:
    code = 'from mmengine.registry import MODELS; MODELS.build(dict(type="HyCTASBackbone", arch="hyctas-s"))'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=300)
    return done.stderr.strip().splitlines()[-1].removeprefix('KeyError: ')


# Architectures and search spaces --------------------------------------------------------------------------------------------------


@provokes('arch-name')
def _(place: Place) -> None:
    load_arch('hyctas-xl')


@provokes('arch-json')
def _(place: Place) -> None:
    path = place.tmp_path / 'arch.json'
    path.write_text('branches: none')
    load_arch(path)


@provokes('arch-cell')
def _(place: Place) -> None:
    Architecture.from_dict(dict(branches=[[dict(op='conv')]]))


@provokes('arch-op')
def _(place: Place) -> None:
    HyCTASBackbone(arch=dict(branches=[[dict(op='my_conv_7x7', width=12)]]))


@provokes('space-op')
def _(place: Place) -> None:
    SearchSpace.from_dict(dict(ops=['skip', 'my_conv_7x7']))


@provokes('op-build')
def _(place: Place) -> None:
    build_op('my_conv_7x7', 4, 4, False, dict(type='BN'))


@provokes('space-key')
def _(place: Place) -> None:
    SearchSpace.from_dict(dict(layer=4))


@provokes('space-layers')
def _(place: Place) -> None:
    SearchSpace.from_dict(dict(layers=40))


@provokes('arch-outside')
def _(place: Place) -> None:
    HyCTASBackbone(search_space=SPACE).set_arch(Architecture.from_dict(dict(branches=[[dict(op='conv', width=12)] * 6])))


# Models -----------------------------------------------------------------------------------------------------------------------


@provokes('model-both')
def _(place: Place) -> None:
    HyCTASBackbone(arch='hyctas-s', search_space=SPACE)


@provokes('model-spaces')
def _(place: Place) -> None:
    cfg = supernet_cfg(dict(layers=4, base_channels=2))
    cfg['decode_head'] = dict(cfg['decode_head'], search_space=dict(layers=5, base_channels=2))
    supernet_space(MODELS.build(ConfigDict(cfg)))


@provokes('model-norm')
def _(place: Place) -> None:
    HyCTASBackbone(search_space=SPACE, norm_cfg=dict(type='SyncBN'))


@provokes('model-outputs')
def _(place: Place) -> None:
    backbone = HyCTASBackbone(arch='hyctas-s', base_channels=2)
    HyCTASHead(arch='hyctas-s', base_channels=2, num_classes=3)(backbone(torch.zeros(2, 3, 32, 64)))


@provokes('model-batch')
def _(place: Place) -> None:
    backbone = HyCTASBackbone(arch='hyctas-s', base_channels=2, outputs='branches').eval()
    HyCTASHead(arch='hyctas-s', base_channels=2, num_classes=3).train()(backbone(torch.zeros(1, 3, 64, 64)))


@provokes('model-sandwich')
def _(place: Place) -> None:
    run(config('supernet', place.toy_root, place.tmp_path, custom_hooks=[dict(type='SandwichSampleArchHook')]))


# Data -------------------------------------------------------------------------------------------------------------------------


def pair(place: Place, label: np.ndarray | None, part: Literal['all', 'select'] = 'all') -> IDDLiteDataset:
    """IDD-Lite with one image of 32x64, and its label if given."""
    for folder in ('images', 'labels'):
        (place.tmp_path / folder / 'train').mkdir(parents=True)
    cv2.imwrite(str(place.tmp_path / 'images' / 'train' / 'a.jpg'), np.zeros((32, 64, 3), np.uint8))
    if label is not None:
        cv2.imwrite(str(place.tmp_path / 'labels' / 'train' / 'a.png'), label.astype(np.uint8))
    steps = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='CheckLabels', num_classes=7)]
    prefix = dict(img_path='images/train', seg_map_path='labels/train')
    return IDDLiteDataset(data_root=str(place.tmp_path), data_prefix=prefix, pipeline=steps, part=part)


@provokes('data-folder')
def _(place: Place) -> None:
    IDDLiteDataset(data_root=str(place.tmp_path), data_prefix=dict(img_path='images/train', seg_map_path='labels/train'))


@provokes('data-empty')
def _(place: Place) -> None:
    run(
        config(
            'supernet', place.toy_root, place.tmp_path, **{'train_dataloader.dataset.img_suffix': '.webp', 'train_dataloader.dataset.indices': None}
        )
    )


@provokes('data-part')
def _(place: Place) -> None:
    pair(place, np.zeros((32, 64)), 'select')


@provokes('data-label-missing')
def _(place: Place) -> None:
    pair(place, None)


@provokes('data-label-values')
def _(place: Place) -> None:
    label = np.zeros((32, 64))
    label[0, :3] = 9, 12, 255
    pair(place, label)[0]


@provokes('data-label-size')
def _(place: Place) -> None:
    pair(place, np.zeros((32, 32)))[0]


@provokes('data-toy')
def _(place: Place) -> None:
    for seed in (0, 1):
        generate_toy_streets(place.tmp_path / 'toy', num_train=1, num_val=0, height=32, width=32, seed=seed)


def panoptic() -> None:
    pytest.importorskip('mmcv._ext', reason='mmdet needs mmcv with compiled operators')


@provokes('data-panoptic-png')
def _(place: Place) -> None:
    panoptic()
    from hyctas_mm.datasets.panoptic import LoadPanoptic

    LoadPanoptic().transform(dict(img_path='a.png', seg_map_path=None))


@provokes('data-panoptic-json')
def _(place: Place) -> None:
    panoptic()
    from hyctas_mm.datasets.panoptic import PanopticDataset

    path = place.tmp_path / 'panoptic.json'
    path.write_text(json.dumps(dict(info='none')))
    PanopticDataset(ann_file=str(path), data_prefix=dict(img='images', seg='panoptic'))


@provokes('data-panoptic-ids')
def _(place: Place) -> None:
    panoptic()
    from hyctas_mm.datasets.panoptic import LoadPanoptic

    path = place.tmp_path / 'a.png'
    png = np.zeros((4, 4, 3), np.uint8)
    png[0, 0] = 0, 0, 7  # BGR: id 7
    cv2.imwrite(str(path), png)
    LoadPanoptic().transform(dict(img_path='a.jpg', seg_map_path=str(path), segments_info=[], ori_shape=(4, 4)))
