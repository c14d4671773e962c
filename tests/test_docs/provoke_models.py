"""Errors of installing, configs, architectures and models."""

from __future__ import annotations

import subprocess
import sys

from hyctas_mm.archs import SearchSpace
from hyctas_mm.models import HyCTASBackbone
from tests.test_docs.faq import Place, provokes, said
from tests.tiny_jobs import config, run

# Installing -----------------------------------------------------------------------------------------------------------


@provokes('install-import')
def _(place: Place) -> str:
    code = 'from mmengine.registry import MODELS; MODELS.build(dict(type="HyCTASBackbone", arch="hyctas-s"))'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=300)
    return done.stderr.strip().splitlines()[-1].removeprefix('KeyError: ')


# Commands and configs -------------------------------------------------------------------------------------------------


@provokes('config-cuda')
def _(place: Place) -> str:
    place.monkeypatch.setattr('mmengine.device.get_device', lambda: 'cpu')
    return said(place, 'new_search', '--data-root', place.toy_root, '--device', 'cuda:0')


# Architectures and search spaces --------------------------------------------------------------------------------------


@provokes('space-op')
def _(place: Place) -> None:
    SearchSpace.from_dict(dict(ops=['skip', 'my_conv_7x7']))


@provokes('space-widths')
def _(place: Place) -> None:
    SearchSpace.from_dict(dict(widths=[6, 32]))


# Models ---------------------------------------------------------------------------------------------------------------


@provokes('model-both')
def _(place: Place) -> None:
    HyCTASBackbone(arch='hyctas-s', search_space=dict(layers=4))


@provokes('model-fixed')
def _(place: Place) -> None:
    run(config('subnet', place.toy_root, place.tmp_path, custom_hooks=[dict(type='SampleArchHook')]))
