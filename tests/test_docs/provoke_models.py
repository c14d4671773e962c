"""Errors of installing, configs, architectures and models."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import torch
from mmengine.config import ConfigDict
from mmengine.registry import MODELS
from torch import nn

from hyctas_mm.archs import Architecture, SearchSpace, load_arch
from hyctas_mm.engine.hooks import SandwichSampleArchHook, ScheduledDropPathHook
from hyctas_mm.engine.hooks.sample_arch_hook import supernet_space
from hyctas_mm.models import HyCTASBackbone, HyCTASHead
from hyctas_mm.models.losses.hardest_pixels import HardestPixelsCELoss
from hyctas_mm.models.ops import build_op
from hyctas_mm.registry import register_op
from tests.conftest import supernet_cfg
from tests.test_docs.faq import ROOT, Place, needs_mmdet, provokes, said
from tests.test_engine.conftest import config, run

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


# Commands and configs ---------------------------------------------------------------------------------------------------------


@provokes('config-file')
def _(place: Place) -> str:
    return said(place, 'train', 'nowhere.py')


@provokes('config-device')
def _(place: Place) -> str:
    return said(place, 'new_search', '--data-root', place.toy_root, '--device', 'tpu')


@provokes('config-cuda')
def _(place: Place) -> str:
    place.monkeypatch.setattr('mmengine.device.get_device', lambda: 'cpu')
    return said(place, 'new_search', '--data-root', place.toy_root, '--device', 'cuda:0')


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


@provokes('arch-width')
def _(place: Place) -> None:
    Architecture.from_dict(dict(branches=[[dict(op='conv', width=13)]]))


@provokes('arch-key')
def _(place: Place) -> None:
    Architecture.from_dict(dict(branches=[[dict(op='conv', width=12)]], heads=2))


@provokes('arch-object')
def _(place: Place) -> None:
    Architecture.from_dict([])


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


@provokes('space-widths')
def _(place: Place) -> None:
    SearchSpace.from_dict(dict(widths=[6, 16]))


@provokes('space-twice')
def _(place: Place) -> None:
    SearchSpace.from_dict(dict(widths=[6, 6]))


@provokes('space-probs')
def _(place: Place) -> None:
    SearchSpace.from_dict(dict(branch_probs=[1.0]))


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


@provokes('model-outputs-name')
def _(place: Place) -> None:
    HyCTASBackbone(arch='hyctas-s', outputs='map')


@provokes('model-fixed')
def _(place: Place) -> None:
    run(config('subnet', place.toy_root, place.tmp_path, custom_hooks=[dict(type='SampleArchHook')]))


@provokes('model-sandwich-random')
def _(place: Place) -> None:
    SandwichSampleArchHook(num_random=-1)


@provokes('model-drop-path')
def _(place: Place) -> None:
    ScheduledDropPathHook(max_prob=1.0)


@provokes('model-loss-fraction')
def _(place: Place) -> None:
    HardestPixelsCELoss(fraction=20)


def panoptic_deeplab(**test_cfg: Any) -> nn.Module:
    """A network for one kind of things and one of stuff."""
    needs_mmdet()
    head = dict(type='HyCTASPanopticHead', arch='hyctas-s', base_channels=2, num_things_classes=1, num_stuff_classes=1)
    backbone = dict(type='HyCTASBackbone', arch='hyctas-s', base_channels=2, outputs='branches')
    return MODELS.build(dict(type='PanopticDeepLab', backbone=backbone, panoptic_head=head, test_cfg=test_cfg))


@provokes('model-panoptic-test-cfg')
def _(place: Place) -> None:
    panoptic_deeplab(scale=0.5)


@provokes('model-panoptic-offset')
def _(place: Place) -> None:
    needs_mmdet()
    MODELS.build(dict(type='HyCTASPanopticHead', arch='hyctas-s', num_things_classes=1, num_stuff_classes=1, offset_scale='half'))


@provokes('model-panoptic-scales')
def _(place: Place) -> None:
    panoptic_deeplab(scales=(0.5, -1.0))


@provokes('model-panoptic-nms')
def _(place: Place) -> None:
    panoptic_deeplab(nms_kernel=4)


@provokes('model-panoptic-classes')
def _(place: Place) -> None:
    sample = SimpleNamespace(metainfo=dict(class_counts=(8, 11)))
    panoptic_deeplab().loss(torch.zeros(1, 3, 64, 64), [sample])


@provokes('op-name')
def _(place: Place) -> None:
    register_op('my-conv')(nn.Identity)
