"""What is measured: the network of a config or an architecture, at the size of its input."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from hyctas_mm.archs import load_arch, zoo_names
from hyctas_mm.costs import count_macs, count_params
from hyctas_mm.errors import BadValue, NoSuchFile
from hyctas_mm.models.subnet import drop_training_parts

PUBLISHED_BASE_CHANNELS = {'hyctas-s': 12, 'hyctas-m': 12, 'hyctas-l': 16}
"""The paper's filter multipliers (section 4.2). NOTE(paper): it names none for M, which has that of S here."""
PUBLISHED_INPUT = (1024, 2048)
"""Cityscapes, on which they were searched."""


@dataclass(frozen=True)
class Network:
    """One row: a model config and the size of its input.

    Attributes:
        name: As given on the command line.
        model: The model config.
        input_hw: Height and width of the input.
        size_from: What says so.
        scope: Registry in which the model's types are looked up, ``'mmseg'`` or ``'mmdet'``.
        imports: Modules that its config imports.
    """

    name: str
    model: ConfigDict
    input_hw: tuple[int, int]
    size_from: str
    scope: str = 'mmseg'
    imports: tuple[str, ...] = ()

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        return (1, 3, *self.input_hw)

    def build(self, device: torch.device, as_release: bool = False) -> nn.Module:
        """The network in eval mode and without its auxiliary heads, as it ships, or with what the release leaves in.

        Raises:
            ValueError: If it is a two-stage detector, or ``as_release`` has no meaning for it.
        """
        with DefaultScope.overwrite_default_scope(self.scope), torch.device(device):
            net: nn.Module = MODELS.build(self.model)
        if hasattr(net, 'roi_head'):
            raise BadValue(
                f'{self.name}: what a {type(net).__name__} costs depends on what it finds; give a one-stage detector '
                'or a segmentor'
            )
        return (keep_unused_fusions if as_release else drop_training_parts)(net.eval())


def keep_unused_fusions(net: nn.Module) -> nn.Module:
    """Removes the auxiliary heads, but keeps and computes the two fusions that only they read.

    NOTE(release): there FFM16 and FFM32 are stored and computed at inference, for nothing; ours exist in training only.

    Raises:
        ValueError: If the network has no head of ours, so nothing in the release to be compared with, or one without
            auxiliary parts.
    """
    aggregations = [head.aggregation for head in net.modules() if hasattr(head, 'drop_auxiliary')]
    if not aggregations:
        raise BadValue('--as-release compares networks with a HyCTASHead; give other networks without it')
    unused = [(a, a.fuse16, a.fuse32) for a in aggregations]
    drop_training_parts(net)
    for aggregation, fuse16, fuse32 in unused:
        if aggregation.strides[-1] > 8 and fuse16 is None:
            raise BadValue(
                '--as-release: a head with aux_weight=0 is built without the fusions to be counted; give it the '
                "release's 0.2"
            )
        aggregation.fuse16, aggregation.fuse32 = fuse16, fuse32
        aggregation.training = (
            True  # this module's own flag: it computes all maps, while what it holds stays in eval mode
        )
    return net


def published(
    name: str, input_hw: tuple[int, int] | None, base_channels: int | None, low_level: str | None, classes: int
) -> Network:
    """A published network, or one from an architecture file, with the semantic head.

    Raises:
        ValueError: If ``base_channels``, or for a file ``input_hw``, is not given and unknown; if the file holds no
            architecture.
        FileNotFoundError: If there is no such file.
    """
    if input_hw is None and name not in zoo_names():
        raise BadValue(f'{name}: an architecture has no input size; give --shape H W')
    changes = dict(low_level=low_level) if low_level else {}
    arch = load_arch(name).to_dict() | changes
    base_channels = base_channels or PUBLISHED_BASE_CHANNELS.get(name)
    if base_channels is None:
        raise BadValue(f'{name}: no filter multiplier is known for it; give --base-channels')
    model = dict(
        type='EncoderDecoder',
        backbone=dict(type='HyCTASBackbone', arch=arch, base_channels=base_channels, outputs='branches'),
        decode_head=dict(type='HyCTASHead', arch=arch, base_channels=base_channels, num_classes=classes),
    )
    size = (input_hw, '--shape') if input_hw else (PUBLISHED_INPUT, 'Cityscapes')
    return Network(f'{name} ({base_channels}, {arch["low_level"]})', ConfigDict(model), *size)


def from_config(path: str, input_hw: tuple[int, int] | None, training: bool = False) -> Network:
    """The network of a config, at the size that it tests at, or if ``training`` that of its crops.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is a supernet's config, or does not say how large its input is and ``input_hw`` does not
            either.
    """
    if not Path(path).is_file():
        raise NoSuchFile(f'{path}: neither a config file nor a published network ({", ".join(zoo_names())})')
    cfg = Config.fromfile(path)
    if 'search_space' in cfg.model.backbone:
        raise BadValue(
            f'{path}: a supernet costs as much as the network it computes; export one with tools/export_subnet.py and '
            'give its config'
        )
    crop = (cfg.model.get('data_preprocessor') or {}).get('size')
    found = (tuple(crop), 'crop') if training and crop else input_size(cfg)
    size = (input_hw, '--shape') if input_hw else found
    if size is None:
        raise BadValue(
            f'{path}: says no input size, neither by Resize in test_dataloader.dataset.pipeline, nor by RandomResize '
            'in train_dataloader, nor by '
            'model.data_preprocessor.size; give --shape H W'
        )
    imports = tuple(cfg.get('custom_imports', {}).get('imports', ()))
    return Network(path, cfg.model, *size, scope=cfg.get('default_scope', 'mmseg'), imports=imports)


def input_size(cfg: Config) -> tuple[tuple[int, int], str] | None:
    """Height and width that a config tests at, and where it says so; None if it does not.

    That is what the test pipeline resizes to; where it keeps the ratio, an image of the ratio of the training crops. A
    pipeline that does not resize tests images as they are, which is the size that training varies theirs around. The
    last resort is the training crops' own size.
    """
    crop = (cfg.model.get('data_preprocessor') or {}).get('size')
    test, train = (
        (cfg.get(f'{part}_dataloader') or {}).get('dataset', {}).get('pipeline', []) for part in ('test', 'train')
    )
    resize = next((step for step in test if step['type'] == 'Resize' and step.get('scale')), None)
    if resize and resize.get('keep_ratio') and crop:
        factor = min(pick(resize['scale']) / pick(crop) for pick in (min, max))
        return (round(crop[0] * factor), round(crop[1] * factor)), 'test Resize, crop ratio'
    varied = next((step for step in train if step['type'] == 'RandomResize' and step.get('scale')), None)
    for step, source in ((resize, 'test Resize'), (varied, 'train RandomResize')):
        if step:
            width, height = step['scale']
            return (height, width), source
    return (tuple(crop), 'crop') if crop else None


def count(network: Network, as_release: bool = False, device: str = 'meta') -> dict[str, int]:
    """Params and MACs; on the meta device nothing is computed and no memory is taken, but some networks of others
    cannot be built there.
    """
    net = network.build(torch.device(device), as_release)
    macs = count_macs(net, network.input_shape)
    return dict(params=count_params(net), conv_macs=macs.convs, attention_macs=macs.attention)
