"""Params and MACs of networks at the size of their input, and their latency, measured in one interleaved run.

Examples:
    python tools/benchmark.py configs/drop_in/fcn_*.py --no-latency
    python tools/benchmark.py hyctas-s hyctas-m hyctas-l --low-level s4 --as-release --no-latency
    python tools/benchmark.py work_dirs/*/search/subnets/*/config.py --shape 227 320 --json latency.json
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmcv.cnn.utils import fuse_conv_bn
from mmengine.config import Config, ConfigDict
from mmengine.device import get_device
from mmengine.registry import MODELS, DefaultScope
from mmseg.utils import register_all_modules
from rich.console import Console
from rich.table import Column, Table
from torch import nn

from hyctas_mm.archs import load_arch, zoo_names
from hyctas_mm.archs.architecture import LOW_LEVELS
from hyctas_mm.costs import count_macs, count_params, device_name, measure_latency
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
    """

    name: str
    model: ConfigDict
    input_hw: tuple[int, int]
    size_from: str
    scope: str = 'mmseg'

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
            raise ValueError(f'{self.name}: what a {type(net).__name__} costs depends on what it finds; give a one-stage detector or a segmentor')
        return (keep_unused_fusions if as_release else drop_training_parts)(net.eval())


def keep_unused_fusions(net: nn.Module) -> nn.Module:
    """Removes the auxiliary heads, but keeps and computes the two fusions that only they read.

    NOTE(release): there FFM16 and FFM32 are stored and computed at inference, for nothing; ours exist in training only.

    Raises:
        ValueError: If the network has no head of ours, so nothing in the release to be compared with, or one without auxiliary parts.
    """
    aggregations = [head.aggregation for head in net.modules() if hasattr(head, 'drop_auxiliary')]
    if not aggregations:
        raise ValueError('--as-release compares networks with a HyCTASHead; give other networks without it')
    unused = [(a, a.fuse16, a.fuse32) for a in aggregations]
    drop_training_parts(net)
    for aggregation, fuse16, fuse32 in unused:
        if aggregation.strides[-1] > 8 and fuse16 is None:
            raise ValueError("--as-release: a head with aux_weight=0 is built without the fusions to be counted; give it the release's 0.2")
        aggregation.fuse16, aggregation.fuse32 = fuse16, fuse32
        aggregation.training = True  # this module's own flag: it computes all maps, while what it holds stays in eval mode
    return net


# What to measure ------------------------------------------------------------------------------------------------------------------


def published(name: str, input_hw: tuple[int, int] | None, base_channels: int | None, low_level: str | None, classes: int) -> Network:
    """A published network with the semantic head.

    Raises:
        ValueError: If ``base_channels`` is not given and unknown.
    """
    changes = dict(low_level=low_level) if low_level else {}
    arch = load_arch(name).to_dict() | changes
    base_channels = base_channels or PUBLISHED_BASE_CHANNELS.get(name)
    if base_channels is None:
        raise ValueError(f'{name}: no filter multiplier is known for it; give --base-channels')
    model = dict(
        type='EncoderDecoder',
        backbone=dict(type='HyCTASBackbone', arch=arch, base_channels=base_channels, outputs='branches'),
        decode_head=dict(type='HyCTASHead', arch=arch, base_channels=base_channels, num_classes=classes),
    )
    size = (input_hw, '--shape') if input_hw else (PUBLISHED_INPUT, 'Cityscapes')
    return Network(f'{name} ({base_channels}, {arch["low_level"]})', ConfigDict(model), *size)


def from_config(path: str, input_hw: tuple[int, int] | None) -> Network:
    """The network of a config.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is a supernet's config, or does not say how large its input is and ``input_hw`` does not either.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'{path}: neither a config file nor a published network ({", ".join(zoo_names())})')
    cfg = Config.fromfile(path)
    if 'search_space' in cfg.model.backbone:
        raise ValueError(f'{path}: a supernet costs as much as the network it computes; export one with tools/export_subnet.py and give its config')
    size = (input_hw, '--shape') if input_hw else input_size(cfg)
    if size is None:
        raise ValueError(
            f'{path}: says no input size, neither by Resize in test_dataloader.dataset.pipeline, nor by RandomResize in train_dataloader, nor by '
            'model.data_preprocessor.size; give --shape H W'
        )
    return Network(path, cfg.model, *size, scope=cfg.get('default_scope', 'mmseg'))


def input_size(cfg: Config) -> tuple[tuple[int, int], str] | None:
    """Height and width that a config tests at, and where it says so; None if it does not.

    That is what the test pipeline resizes to; where it keeps the ratio, an image of the ratio of the training crops. A pipeline that does not
    resize tests images as they are, which is the size that training varies theirs around. The last resort is the training crops' own size.
    """
    crop = (cfg.model.get('data_preprocessor') or {}).get('size')
    test, train = ((cfg.get(f'{part}_dataloader') or {}).get('dataset', {}).get('pipeline', []) for part in ('test', 'train'))
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


# Measuring ------------------------------------------------------------------------------------------------------------------------


def count(network: Network, as_release: bool = False) -> dict[str, int]:
    """Params and MACs, on the meta device: nothing is computed and no memory is taken."""
    net = network.build(torch.device('meta'), as_release)
    macs = count_macs(net, network.input_shape)
    return dict(params=count_params(net), conv_macs=macs.convs, attention_macs=macs.attention)


def time_all(networks: Sequence[Network], device: torch.device, seconds: float, rounds: int) -> list[dict[str, Any]]:
    """Latency of each network; the rounds visit all of them in turn, so that what slows the machine slows them alike."""
    nets = [fuse_conv_bn(network.build(torch.device('cpu'))).to(device) for network in networks]
    inputs = [torch.rand(*network.input_shape, device=device) for network in networks]
    medians: list[list[float]] = [[] for _ in nets]
    for _ in range(rounds):
        for net, x, times in zip(nets, inputs, medians, strict=True):
            times.append(measure_latency(lambda net=net, x=x: net(x), device, seconds / rounds, seconds / rounds / 4).median_ms)
    return [dict(latency_ms=statistics.median(times), rounds_ms=times) for times in medians]


# The command ----------------------------------------------------------------------------------------------------------------------


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('networks', nargs='+', help=f'configs of networks, or published ones: {", ".join(zoo_names())}')
    parser.add_argument('--shape', type=int, nargs=2, metavar=('H', 'W'), help='input size; default: what the config tests at')
    only = parser.add_argument_group('published networks only, by default at 1024 2048')
    only.add_argument('--base-channels', type=int, help="filter multiplier; default: the paper's, 12 for S and M, 16 for L")
    only.add_argument('--low-level', choices=LOW_LEVELS, help="maps of the stem that the head fuses; default: the architecture's")
    only.add_argument('--classes', type=int, help='number of classes; default: 19')
    parser.add_argument('--as-release', action='store_true', help='count also with the two fusions that the release computes for nothing')
    parser.add_argument('--no-latency', action='store_true', help='count only: fast, and no memory is taken at any size')
    parser.add_argument('--json', metavar='FILE', type=Path, help='write the numbers to a file')
    parser.add_argument('--device', default=get_device())
    parser.add_argument('--seconds', type=float, default=6.0, help='time to measure each network (paper: 6)')
    parser.add_argument('--rounds', type=int, default=6, help='rounds that the time is split over, each visiting every network')
    return parser.parse_args(argv)


def read_networks(args: argparse.Namespace) -> list[Network]:
    """What the command line names.

    Raises:
        ValueError: If an option for published networks is given without one, or a config cannot be measured.
        FileNotFoundError: If a network is neither published nor a file.
    """
    names = [name for name in args.networks if name in zoo_names()]
    given = [f'--{key.replace("_", "-")}' for key in ('base_channels', 'low_level', 'classes') if getattr(args, key) is not None]
    if given and not names:
        raise ValueError(f'{", ".join(given)}: for published networks only ({", ".join(zoo_names())}); a config says it itself')
    shape = tuple(args.shape) if args.shape else None
    options = (shape, args.base_channels, args.low_level, args.classes or 19)
    return [published(name, *options) if name in names else from_config(name, shape) for name in args.networks]


def render(rows: Sequence[Mapping[str, Any]], latency: bool) -> Table:
    """The table for people."""
    columns = ['input', 'params M', 'GMACs', 'without attention products', *(['latency ms', 'min..max of rounds', 'FPS'] if latency else [])]
    table = Table(Column('network', overflow='fold'), *columns)
    for row in rows:
        times = []
        if latency:
            middle, rounds = row['latency_ms'], row['rounds_ms']
            times = [f'{middle:.2f}', f'{min(rounds):.2f}..{max(rounds):.2f}', f'{1e3 / middle:.1f}']
        size = f'{"x".join(map(str, row["input"]))}, {row["input_from"]}'
        table.add_row(row['network'], size, *printed(row), *times)
        if 'as_released' in row:
            table.add_row('  as released', '', *printed(row['as_released']))
    return table


def printed(counts: Mapping[str, int]) -> list[str]:
    """Params in 1e6 and MACs in 1e9, to three digits."""
    params, convs, attention = counts['params'] / 1e6, counts['conv_macs'] / 1e9, counts['attention_macs'] / 1e9
    return [f'{params:.3f}', f'{convs + attention:.3f}', f'{convs:.3f}']


def main(argv: Sequence[str] | None = None) -> int:
    """Counts, measures, prints."""
    args = parse_args(argv)
    warnings.filterwarnings('ignore')
    register_all_modules()
    device = torch.device(args.device)
    try:
        networks = read_networks(args)
        rows = [dict(network=n.name, input=n.input_hw, input_from=n.size_from, **count(n)) for n in networks]
        if args.as_release:
            for row, network in zip(rows, networks, strict=True):
                row['as_released'] = count(network, as_release=True)
    except (ValueError, FileNotFoundError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    conditions = f'torch {torch.__version__}'
    if not args.no_latency:
        for row, times in zip(rows, time_all(networks, device, args.seconds, args.rounds), strict=True):
            row.update(times)
        conditions = f'{device_name(device)}, {torch.get_num_threads()} threads, {conditions}'
    Console(width=None if sys.stdout.isatty() else 160).print(render(rows, latency=not args.no_latency))
    print(conditions)
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(dict(conditions=conditions, networks=rows), indent=1) + '\n', encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
