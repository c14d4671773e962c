"""Params and MACs of networks at the size of their input, and their latency, measured in one interleaved run.

More commands, each with --help:
    latency      latency by backend, with percentiles, FPS and peak memory
    memory       memory of a training step, predicted and with --check measured
    build-table  the latency table of a search space
    check-table  the table's predictions against whole networks

Examples:
    python tools/benchmark.py configs/drop_in/fcn_*.py --no-latency
    python tools/benchmark.py hyctas-s hyctas-m hyctas-l --low-level s4 --as-release --no-latency
    python tools/benchmark.py work_dirs/*/search/subnets/*/config.py --shape 227 320 --json latency.json
    python tools/benchmark.py latency hyctas-s hyctas-m --shape 512 1024 --backend onnxruntime --threads 1
    python tools/benchmark.py memory hyctas-s hyctas-l --shape 512 1024 --batch 8
    python tools/benchmark.py build-table SEARCH_CONFIG --out table.json
    python tools/benchmark.py check-table SEARCH_CONFIG table.json
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import os
import platform
import statistics
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv.cnn.utils import fuse_conv_bn
from mmengine.config import Config, ConfigDict
from mmengine.device import get_device
from mmengine.registry import MODELS, DefaultScope
from mmseg.utils import register_all_modules
from rich.console import Console
from rich.table import Column, Table
from torch import nn

from hyctas_mm.archs import SearchSpace, load_arch, zoo_names
from hyctas_mm.archs.architecture import LOW_LEVELS
from hyctas_mm.costs import (
    BACKENDS,
    CLOCKS,
    Latency,
    LatencyTable,
    PeakMemory,
    check_table,
    count_macs,
    count_params,
    device_name,
    in_fresh_process,
    measure_interleaved,
    measure_training_memory,
    predict_training_memory,
    prepare_call,
)
from hyctas_mm.engine.candidate_costs import shipped_network, training_loss, training_network
from hyctas_mm.engine.cli import use_scope
from hyctas_mm.models.subnet import drop_training_parts

PUBLISHED_BASE_CHANNELS = {'hyctas-s': 12, 'hyctas-m': 12, 'hyctas-l': 16}
"""The paper's filter multipliers (section 4.2). NOTE(paper): it names none for M, which has that of S here."""
PUBLISHED_INPUT = (1024, 2048)
"""Cityscapes, on which they were searched."""
MEMORY_OF = {
    'cuda': 'weights, and the rise of torch.cuda.max_memory_allocated during one pass',
    'cpu': "weights, and the rise of the process's peak resident memory (VmHWM) during one pass",
}
"""What the column of the latency command says."""


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
    """A published network, or one from an architecture file, with the semantic head.

    Raises:
        ValueError: If ``base_channels``, or for a file ``input_hw``, is not given and unknown; if the file holds no architecture.
        FileNotFoundError: If there is no such file.
    """
    if input_hw is None and name not in zoo_names():
        raise ValueError(f'{name}: an architecture has no input size; give --shape H W')
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


def from_config(path: str, input_hw: tuple[int, int] | None, training: bool = False) -> Network:
    """The network of a config, at the size that it tests at, or if ``training`` that of its crops.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is a supernet's config, or does not say how large its input is and ``input_hw`` does not either.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'{path}: neither a config file nor a published network ({", ".join(zoo_names())})')
    cfg = Config.fromfile(path)
    if 'search_space' in cfg.model.backbone:
        raise ValueError(f'{path}: a supernet costs as much as the network it computes; export one with tools/export_subnet.py and give its config')
    crop = (cfg.model.get('data_preprocessor') or {}).get('size')
    found = (tuple(crop), 'crop') if training and crop else input_size(cfg)
    size = (input_hw, '--shape') if input_hw else found
    if size is None:
        raise ValueError(
            f'{path}: says no input size, neither by Resize in test_dataloader.dataset.pipeline, nor by RandomResize in train_dataloader, nor by '
            'model.data_preprocessor.size; give --shape H W'
        )
    imports = tuple(cfg.get('custom_imports', {}).get('imports', ()))
    return Network(path, cfg.model, *size, scope=cfg.get('default_scope', 'mmseg'), imports=imports)


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
    calls = [partial(net, x) for net, x in zip(nets, inputs, strict=True)]
    times = measure_interleaved(calls, device, seconds, rounds)
    medians = [[statistics.median(found) for found in network] for network in times]
    return [dict(latency_ms=statistics.median(found), rounds_ms=found) for found in medians]


def prepare(network: Network, device: torch.device, backend: str) -> tuple[Callable[[], object], float | None]:
    """The network as a call, and the memory of a pass in 1e6 bytes: its weights and the rise while it runs, None where that is not known."""
    net = fuse_conv_bn(network.build(torch.device('cpu'))).to(device)
    x = torch.rand(*network.input_shape, device=device)
    call = prepare_call(net, x, backend)
    # the first pass: ONNX Runtime keeps what it takes there
    with PeakMemory(device) as peak, torch.inference_mode():
        call()
    weights = sum(p.numel() * p.element_size() for p in net.parameters())
    return call, None if peak.bytes is None else (weights + peak.bytes) / 1e6


def time_in_detail(
    networks: Sequence[Network], device: torch.device, backend: str, seconds: float, rounds: int, clock: str
) -> list[dict[str, Any]]:
    """Latency over all rounds, its percentiles, the median of each round, and the memory of each network."""
    calls, memory = zip(*(prepare(network, device, backend) for network in networks), strict=True)
    rows = []
    for times, megabytes in zip(measure_interleaved(calls, device, seconds, rounds, clock=clock), memory, strict=True):
        latency = Latency.of(list(itertools.chain.from_iterable(times)))
        numbers = dict(latency_ms=latency.median_ms, p10_ms=latency.p10_ms, p90_ms=latency.p90_ms, runs=latency.runs, fps=latency.fps)
        rows.append(numbers | dict(rounds_ms=[statistics.median(found) for found in times], memory_mb=megabytes))
    return rows


def training_memory(network: Network, batch: int, device: torch.device, check: bool) -> dict[str, Any]:
    """Predicted memory of a training step, and the measured one if ``check``."""
    build = partial(training_network, network.model.to_dict(), network.scope, network.imports)
    loss = partial(training_loss, batch=batch, crop_hw=network.input_hw)
    with torch.device('meta'):
        net = build()
    predicted = predict_training_memory(net, loss, device.type)
    row: dict[str, Any] = dict(batch=batch, memory_gb=predicted.total_gb, **vars(predicted))
    if check:
        measured = in_fresh_process(measure_training_memory, build, loss, device)
        row |= dict(measured_gb=None if measured is None else measured / 1e9)
    return row


def read_space(path: str, shape: Sequence[int] | None) -> tuple[Config, SearchSpace, tuple[int, int]]:
    """A supernet's or search's config, its space, and the size at which its networks are measured.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it has no search space, or says no size and ``shape`` is not given.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'{path}: no such config')
    cfg = Config.fromfile(path)
    space = cfg.model.backbone.get('search_space')
    if space is None:
        raise ValueError(f'{path}: model.backbone has no search_space; give the config of a supernet or of a search')
    size = shape or cfg.get('train_cfg', {}).get('input_hw') or (input_size(cfg) or (None,))[0]
    if size is None:
        raise ValueError(f'{path}: says no input size, neither by train_cfg.input_hw nor by its data; give --shape H W')
    use_scope(cfg)
    return cfg, SearchSpace.from_dict(space), (size[0], size[1])


def random_networks(cfg: Config, space: SearchSpace, seed: int) -> Iterator[nn.Module]:
    """Networks of random architectures as they ship, on the meta device, without end."""
    rng = np.random.default_rng(seed)
    while True:
        yield fuse_conv_bn(shipped_network(cfg.model.to_dict(), space.sample(rng)))


# The command ----------------------------------------------------------------------------------------------------------------------


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_network_arguments(parser)
    parser.add_argument('--as-release', action='store_true', help='count also with the two fusions that the release computes for nothing')
    parser.add_argument('--no-latency', action='store_true', help='count only: fast, and no memory is taken at any size')
    add_measuring_arguments(parser, seconds=6.0, rounds=6)
    return parser.parse_args(argv)


def add_network_arguments(parser: argparse.ArgumentParser) -> None:
    """Which networks."""
    parser.add_argument('networks', nargs='+', help=f'configs of networks, architecture files (.json), or published ones: {", ".join(zoo_names())}')
    parser.add_argument('--shape', type=int, nargs=2, metavar=('H', 'W'), help='input size; default: as the config says')
    only = parser.add_argument_group('published networks (by default at 1024 2048) and architecture files only')
    only.add_argument('--base-channels', type=int, help="filter multiplier; default: the paper's, 12 for S and M, 16 for L")
    only.add_argument('--low-level', choices=LOW_LEVELS, help="maps of the stem that the head fuses; default: the architecture's")
    only.add_argument('--classes', type=int, help='number of classes; default: 19')


def add_measuring_arguments(parser: argparse.ArgumentParser, seconds: float, rounds: int) -> None:
    """How to measure."""
    parser.add_argument('--json', metavar='FILE', type=Path, help='write the numbers to a file')
    parser.add_argument('--device', default=get_device())
    parser.add_argument('--seconds', type=float, default=seconds, help=f'time to measure each network (default: {seconds:g}; paper: 6)')
    parser.add_argument('--rounds', type=int, default=rounds, help='rounds that the time is split over, each visiting every network')


def add_condition_arguments(parser: argparse.ArgumentParser) -> None:
    """Under which conditions."""
    parser.add_argument('--threads', type=int, help="PyTorch's and ONNX Runtime's threads; default: as they are")
    parser.add_argument('--clock', choices=CLOCKS, default='wall', help="'cpu': processor time, not lengthened by a busy machine; one thread only")


def read_networks(args: argparse.Namespace, training: bool = False) -> list[Network]:
    """What the command line names, if ``training`` at the size of their crops.

    Raises:
        ValueError: If an option for published networks is given without one, or a config cannot be measured.
        FileNotFoundError: If a network is neither published nor a file.
    """
    names = [name for name in args.networks if name in zoo_names() or name.endswith('.json')]
    given = [f'--{key.replace("_", "-")}' for key in ('base_channels', 'low_level', 'classes') if getattr(args, key) is not None]
    if given and not names:
        raise ValueError(f'{", ".join(given)}: for published networks only ({", ".join(zoo_names())}); a config says it itself')
    shape = tuple(args.shape) if args.shape else None
    options = (shape, args.base_channels, args.low_level, args.classes or 19)
    return [published(name, *options) if name in names else from_config(name, shape, training) for name in args.networks]


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


def count_command(argv: Sequence[str]) -> None:
    """Counts, measures, prints."""
    args = parse_args(argv)
    device = torch.device(args.device)
    networks = read_networks(args)
    rows = [dict(network=n.name, input=n.input_hw, input_from=n.size_from, **count(n)) for n in networks]
    if args.as_release:
        for row, network in zip(rows, networks, strict=True):
            row['as_released'] = count(network, as_release=True)
    conditions = f'torch {torch.__version__}'
    if not args.no_latency:
        for row, times in zip(rows, time_all(networks, device, args.seconds, args.rounds), strict=True):
            row.update(times)
        conditions = f'{device_name(device)}, {torch.get_num_threads()} threads, {conditions}'
    show(render(rows, latency=not args.no_latency))
    print(conditions)
    write(args.json, dict(conditions=conditions, networks=rows))


def latency_command(argv: Sequence[str]) -> None:
    """Latency by backend."""
    parser = argparse.ArgumentParser(prog='benchmark.py latency', description='Latency of fixed networks in eval mode with batch norm fused.')
    add_network_arguments(parser)
    parser.add_argument('--backend', default='eager', help=f'one of {", ".join(BACKENDS)}')
    add_measuring_arguments(parser, seconds=6.0, rounds=6)
    add_condition_arguments(parser)
    args = parser.parse_args(argv)
    here = conditions(args)
    networks = read_networks(args)
    times = time_in_detail(networks, torch.device(args.device), args.backend, args.seconds, args.rounds, args.clock)
    rows = [dict(network=n.name, input=n.input_hw, input_from=n.size_from, **row) for n, row in zip(networks, times, strict=True)]
    table = Table(Column('network', overflow='fold'), 'input', 'median ms', 'p10..p90', 'rounds', 'calls', 'FPS', 'memory MB')
    for row in rows:
        size, memory, rounds = 'x'.join(map(str, row['input'])), row['memory_mb'], row['rounds_ms']
        spread = (f'{row["p10_ms"]:.2f}..{row["p90_ms"]:.2f}', f'{min(rounds):.2f}..{max(rounds):.2f}')
        numbers = (f'{row["latency_ms"]:.2f}', *spread, str(row['runs']), f'{row["fps"]:.1f}', '-' if memory is None else f'{memory:.0f}')
        table.add_row(row['network'], size, *numbers)
    report(table, args.json, here | dict(backend=args.backend, memory=MEMORY_OF.get(torch.device(args.device).type, 'not known')), networks=rows)


def memory_command(argv: Sequence[str]) -> None:
    """Memory of training."""
    parser = argparse.ArgumentParser(prog='benchmark.py memory', description='Peak memory of a training step with SGD and momentum, in float32.')
    add_network_arguments(parser)
    parser.add_argument('--batch', type=int, required=True, help='images of a step')
    parser.add_argument('--device', default=get_device(), help='where the networks are trained')
    parser.add_argument('--check', action='store_true', help='train two steps on blank images, in a process of its own, and measure')
    parser.add_argument('--json', metavar='FILE', type=Path, help='write the numbers to a file')
    parser.set_defaults(clock='wall', threads=None)
    args = parser.parse_args(argv)
    if args.batch < 1:
        raise ValueError(f'--batch {args.batch}; expected 1 or more (2 or more for a HyCTAS head)')
    networks, device = read_networks(args, training=True), torch.device(args.device)
    rows = [dict(network=n.name, input=n.input_hw, input_from=n.size_from, **training_memory(n, args.batch, device, args.check)) for n in networks]
    table = Table(Column('network', overflow='fold'), 'batch', 'predicted GB', 'weights', 'optimizer', 'step', 'measured GB', 'error')
    for row in rows:
        measured = row.get('measured_gb')
        checked = ('-', '-') if not measured else (f'{measured:.3f}', f'{row["memory_gb"] / measured - 1:+.1%}')
        parts = (f'{row[key] / 1e9:.3f}' for key in ('weights', 'optimizer', 'step'))
        table.add_row(row['network'], f'{args.batch}x{"x".join(map(str, row["input"]))}', f'{row["memory_gb"]:.3f}', *parts, *checked)
    report(table, args.json, conditions(args), networks=rows)


def build_table_command(argv: Sequence[str]) -> None:
    """The table of a space."""
    parser = table_parser('build-table', 'Measures the parts of random networks of a search space until few new ones appear.')
    parser.add_argument('--out', type=Path, required=True, help='the table; one that exists is continued')
    parser.add_argument('--samples', type=int, default=300, help='random networks at most (default: 300)')
    parser.add_argument('--part-seconds', type=float, default=0.1, help='time to measure each new part in each round (default: 0.1)')
    parser.add_argument('--rounds', type=int, default=5, help='how often each part is measured; its quietest round counts (default: 5)')
    args = parser.parse_args(argv)
    here = conditions(args)
    cfg, space, shape = read_space(args.config, args.shape)
    table = LatencyTable(args.out, torch.device(args.device), (1, 3, *shape), args.part_seconds, args.clock)
    models, count = itertools.islice(random_networks(cfg, space, args.seed), args.samples), 0
    for count, (total, new) in enumerate(table.fill(models, args.rounds), start=1):
        print(f'network {count}: {total} parts, {new} new, {len(table.parts)} in the table', flush=True)
    table.fit_overhead(list(itertools.islice(random_networks(cfg, space, args.seed), min(10, args.samples))))
    print(f'{args.out}: {len(table.parts)} parts of {count} networks, {table.overhead_ms:.3f} ms between two parts')
    print(describe(here))


def check_table_command(argv: Sequence[str]) -> None:
    """How good the table is."""
    parser = table_parser('check-table', 'Compares the predictions of a latency table with measurements of whole random networks.')
    parser.add_argument('table', type=Path, help='the table; parts that it lacks are measured and added')
    parser.add_argument('--archs', type=int, default=40, help='random networks (default: 40)')
    parser.add_argument('--seconds', type=float, default=1.5, help='time to measure each network (default: 1.5)')
    parser.add_argument('--rounds', type=int, default=5, help='rounds that the time is split over, each visiting every network (default: 5)')
    parser.add_argument('--json', metavar='FILE', type=Path, help='write the numbers to a file')
    parser.set_defaults(seed=1)
    args = parser.parse_args(argv)
    here = conditions(args)
    cfg, space, shape = read_space(args.config, args.shape)
    if not args.table.is_file():
        raise FileNotFoundError(f'{args.table}: no such table; make it with build-table')
    table = LatencyTable(args.table, torch.device(args.device), (1, 3, *shape), clock=args.clock)
    known = len(table.parts)
    check = check_table(table, list(itertools.islice(random_networks(cfg, space, args.seed), args.archs)), args.seconds, args.rounds)
    found = check.summary()
    rendered = Table('networks', 'median error', 'worst error', 'mean (signed)', 'Spearman', 'Kendall', 'noise', 'drift', 'error beyond drift')
    errors = [f'{found[key]:.1%}' for key in ('median_error', 'worst_error', 'mean_error')]
    ranks = [f'{found[key]:.3f}' for key in ('spearman', 'kendall')]
    machine = [f'{found["noise"]:.1%}', f'x{found["drift"]:.2f}', f'{found["median_error_beyond_drift"]:.1%}']
    rendered.add_row(str(args.archs), *errors, *ranks, *machine)
    print(f'{args.table}: {known} parts, {len(table.parts) - known} more measured for the check')
    report(rendered, args.json, here, **found, predicted_ms=check.predicted_ms, measured_ms=check.measured_ms, rounds_ms=check.rounds_ms)


COMMANDS = {'latency': latency_command, 'memory': memory_command, 'build-table': build_table_command, 'check-table': check_table_command}


def table_parser(name: str, description: str) -> argparse.ArgumentParser:
    """What the commands on tables share."""
    parser = argparse.ArgumentParser(prog=f'benchmark.py {name}', description=description)
    parser.add_argument('config', help='config of a search or of a supernet')
    parser.add_argument('--shape', type=int, nargs=2, metavar=('H', 'W'), help='input size; default: train_cfg.input_hw, or what the config tests at')
    parser.add_argument('--device', default=get_device())
    parser.add_argument('--seed', type=int, default=0, help='of the random networks')
    add_condition_arguments(parser)
    return parser


# Printing -------------------------------------------------------------------------------------------------------------------------


def conditions(args: argparse.Namespace) -> dict[str, Any]:
    """Sets the threads and says what a measurement holds for."""
    if args.threads is not None:
        if args.threads < 1:
            raise ValueError(f'--threads {args.threads}; expected 1 or more')
        torch.set_num_threads(args.threads)
    software = dict(torch=torch.__version__, python=platform.python_version())
    if getattr(args, 'backend', None) == 'onnxruntime' and find_spec('onnxruntime'):
        software['onnxruntime'] = version('onnxruntime')
    here = dict(device=device_name(torch.device(args.device)), threads=torch.get_num_threads(), clock=args.clock, software=software)
    return here | dict(date=datetime.datetime.now().isoformat(timespec='seconds'), load_average=os.getloadavg()[0])


def describe(here: Mapping[str, Any]) -> str:
    """The conditions in one line."""
    software = ', '.join(f'{name} {version}' for name, version in here['software'].items())
    return f'{here["device"]}, {here["threads"]} threads, {here["clock"]} clock, load {here["load_average"]:.1f}, {software}, {here["date"]}'


def report(table: Table, path: Path | None, here: Mapping[str, Any], **content: Any) -> None:
    """Prints a table and its conditions, and writes both with all numbers if asked to."""
    show(table)
    print(describe(here))
    write(path, dict(here) | content)


def show(table: Table) -> None:
    """Prints a table as wide as the terminal, or wide enough."""
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def write(path: Path | None, content: Mapping[str, Any]) -> None:
    """Writes JSON, if to a path."""
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command that the first argument names, or counts and measures."""
    argv = sys.argv[1:] if argv is None else list(argv)
    warnings.filterwarnings('ignore')
    register_all_modules()
    try:
        if argv and argv[0] in COMMANDS:
            COMMANDS[argv[0]](argv[1:])
        else:
            count_command(argv)
    except (ValueError, FileNotFoundError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
