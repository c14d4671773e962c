"""Tiny networks as a config and a checkpoint, as a search or training leaves them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.config import Config
from torch import nn

from hyctas_mm.archs import Architecture
from hyctas_mm.engine.configs import use_scope
from hyctas_mm.models.subnet import subnet_model_cfg
from hyctas_mm.registry import MODELS
from tests.conftest import supernet_cfg
from tests.tiny_jobs import SPACE
from tests.tiny_jobs import config as quickstart_config

ARCH = Architecture.from_dict(
    dict(
        branches=[
            [dict(op='lite_conv_2x', width=4), dict(op='lite_conv', width=12)],
            [
                dict(op='lite_conv', width=6, down=True),
                dict(op='attention', width=6, down=True),
                dict(op='lite_conv', width=12, down=False),
            ],
        ],
        detail=[dict(op='lite_conv', width=16)],
        gates=[dict(layer=0, source=0, target=1), dict(layer=0, source=1, target=0)],
        format='hyctas_mm/arch-1',
        head_attention=True,
        head_depth=2,
        head_width=12,
        low_level='s4',
        stem_width=6,
    )
)
"""A cell at stride 4, down to stride 32 by two kinds of ops, gates both ways to a branch at stride 8, attention in the
backbone and in the head: all that depends on the size of the image.
"""


def save(cfg: Config, folder: Path) -> tuple[Path, Path]:
    """Config and checkpoint of a network with random weights, and statistics that make it answer differently from
    place to place.
    """
    use_scope(cfg)
    torch.manual_seed(0)  # fixtures are made before the seed of their first test
    model = MODELS.build(cfg.model)
    for name, parameter in model.named_parameters():
        if name.endswith('gamma'):
            nn.init.constant_(parameter, 0.5)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the average of all batches, here of one
    with torch.no_grad():
        model.train()(F.interpolate(torch.randn(4, 3, 12, 16), size=(96, 128), mode='bilinear'), mode='tensor')
    folder.mkdir(parents=True, exist_ok=True)
    cfg.dump(str(folder / 'config.py'))
    torch.save(dict(state_dict=model.state_dict(), meta={}), folder / 'weights.pth')
    return folder / 'config.py', folder / 'weights.pth'


def semantic_config(toy_root: Path, work_dir: Path, **options: Any) -> Config:
    """A network on the tests' toy streets."""
    cfg = quickstart_config('subnet', toy_root, work_dir)
    cfg.model = subnet_model_cfg(supernet_cfg(SPACE, num_classes=11), ARCH)
    cfg.train_dataloader.dataset.indices = 6
    cfg.merge_from_dict(options)
    return cfg
