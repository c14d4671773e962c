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
import itertools
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv.cnn.utils import fuse_conv_bn
from mmengine.config import Config
from mmengine.device import get_device
from rich.table import Column, Table
from torch import nn

from hyctas_mm import register_all_modules
from hyctas_mm.archs import SearchSpace, zoo_names
from hyctas_mm.archs.architecture import LOW_LEVELS
from hyctas_mm.costs import BACKENDS, CLOCKS, LatencyTable, check_table, device_name
from hyctas_mm.engine.candidate_costs import shipped_network
from hyctas_mm.engine.cli import use_scope
from hyctas_mm.engine.measuring import Network, count, from_config, input_size, published, time_all, time_in_detail, training_memory
from hyctas_mm.engine.measuring.printing import conditions, describe, report, show, write
from hyctas_mm.engine.mistakes import tells_mistakes

MEMORY_OF = {
    'cuda': 'weights, and the rise of torch.cuda.max_memory_allocated during one pass',
    'cpu': "weights, and the rise of the process's peak resident memory (VmHWM) during one pass",
}
"""What the column of the latency command says."""


# Search spaces --------------------------------------------------------------------------------------------------------------------


def read_space(path: str, shape: Sequence[int] | None) -> tuple[Config, SearchSpace, tuple[int, int]]:
    """A supernet's or search's config, its space, and the size at which its networks are measured.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it has no search space, or says no size and ``shape`` is not given.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'{path}: no such config; give the path of a config of a supernet or of a search')
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
    here = conditions(args.device, args.threads, args.clock, args.backend)
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
    report(table, args.json, conditions(args.device), networks=rows)


def build_table_command(argv: Sequence[str]) -> None:
    """The table of a space."""
    parser = table_parser('build-table', 'Measures the parts of random networks of a search space until few new ones appear.')
    parser.add_argument('--out', type=Path, required=True, help='the table; one that exists is continued')
    parser.add_argument('--samples', type=int, default=300, help='random networks at most (default: 300)')
    parser.add_argument('--part-seconds', type=float, default=0.1, help='time to measure each new part in each round (default: 0.1)')
    parser.add_argument('--rounds', type=int, default=5, help='how often each part is measured; its quietest round counts (default: 5)')
    args = parser.parse_args(argv)
    here = conditions(args.device, args.threads, args.clock)
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
    here = conditions(args.device, args.threads, args.clock)
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


@tells_mistakes
def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command that the first argument names, or counts and measures."""
    argv = sys.argv[1:] if argv is None else list(argv)
    warnings.filterwarnings('ignore')
    register_all_modules()
    if argv and argv[0] in COMMANDS:
        COMMANDS[argv[0]](argv[1:])
    else:
        count_command(argv)


if __name__ == '__main__':
    sys.exit(main())
