"""The commands of ``tools/benchmark.py``; each takes its parsed arguments."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv.cnn.utils import fuse_conv_bn
from mmengine.config import Config
from rich.table import Column, Table
from torch import nn

from hyctas_mm.archs import Handover, SearchSpace, zoo_names
from hyctas_mm.costs import FitCheck, FittedTable, LatencyTable, Target, check_table, device_name
from hyctas_mm.engine.candidate_costs import CandidateCosts, shipped_network
from hyctas_mm.engine.configs import use_scope
from hyctas_mm.engine.target_table import build_table as build_table_of_target
from hyctas_mm.errors import BadValue, FileInTheWay, NoSuchFile
from hyctas_mm.files import alone, read_json
from hyctas_mm.measuring.network import Network, count, from_config, input_size, published
from hyctas_mm.measuring.picture import draw_latency
from hyctas_mm.measuring.printing import conditions, describe, report, show, write
from hyctas_mm.measuring.timing import read_targets, time_all, time_by_target, training_memory

MEMORY_OF = {
    'cuda': 'weights, and the rise of torch.cuda.max_memory_allocated during one pass',
    'cpu': "weights, and the rise of the process's peak resident memory (VmHWM) during one pass",
}
"""What the column of the latency command says."""


def read_networks(args: argparse.Namespace, training: bool = False) -> list[Network]:
    """What the command line names, if ``training`` at the size of their crops.

    Raises:
        ValueError: If an option for published networks is given without one, or a config cannot be measured.
        FileNotFoundError: If a network is neither published nor a file.
    """
    names = [name for name in args.networks if name in zoo_names() or name.endswith('.json')]
    given = [
        f'--{key.replace("_", "-")}'
        for key in ('base_channels', 'low_level', 'classes')
        if getattr(args, key) is not None
    ]
    if given and not names:
        raise BadValue(
            f'{", ".join(given)}: for published networks only ({", ".join(zoo_names())}); a config says it itself'
        )
    shape = tuple(args.shape) if args.shape else None
    options = (shape, args.base_channels, args.low_level, args.classes or 19)
    return [
        published(name, *options) if name in names else from_config(name, shape, training) for name in args.networks
    ]


def render(rows: Sequence[Mapping[str, Any]], latency: bool) -> Table:
    """The table for people."""
    columns = [
        'input',
        'params M',
        'GMACs',
        'without attention products',
        *(['latency ms', 'min..max of rounds', 'FPS'] if latency else []),
    ]
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


def count_networks(args: argparse.Namespace) -> None:
    """Params and MACs, and latency."""
    device = torch.device(args.device)
    networks = read_networks(args)
    rows = [dict(network=n.name, input=n.input_hw, input_from=n.size_from, **count(n)) for n in networks]
    if args.as_release:
        for row, network in zip(rows, networks, strict=True):
            row['as_released'] = count(network, as_release=True)
    told = f'torch {torch.__version__}'
    if not args.no_latency:
        for row, times in zip(rows, time_all(networks, device, args.seconds, args.rounds), strict=True):
            row.update(times)
        told = f'{device_name(device)}, {torch.get_num_threads()} threads, {told}'
    show(render(rows, latency=not args.no_latency))
    print(told)
    write(args.json, dict(conditions=told, networks=rows))


def latency(args: argparse.Namespace) -> None:
    """Latency by target, all in one interleaved run."""
    clock = args.clock or 'wall'
    here = conditions(args.device, args.threads, clock)
    targets = read_targets(args.targets, args.precision)
    here |= conditions(args.device, None, clock, targets)
    rows, problems = time_by_target(
        read_networks(args), targets, torch.device(args.device), args.seconds, args.rounds, clock
    )
    table = Table(
        Column('network', overflow='fold'),
        'input',
        'target',
        'median ms',
        'p10..p90',
        'rounds',
        'calls',
        'FPS',
        'memory MB',
    )
    for row in rows:
        size, memory, rounds = 'x'.join(map(str, row['input'])), row['memory_mb'], row['rounds_ms']
        spread = (f'{row["p10_ms"]:.2f}..{row["p90_ms"]:.2f}', f'{min(rounds):.2f}..{max(rounds):.2f}')
        numbers = (
            f'{row["latency_ms"]:.2f}',
            *spread,
            str(row['runs']),
            f'{row["fps"]:.1f}',
            '-' if memory is None else f'{memory:.0f}',
        )
        table.add_row(row['network'], size, row['target'], *numbers)
    report(
        table,
        args.json,
        here | dict(memory=MEMORY_OF.get(torch.device(args.device).type, 'not known')),
        networks=rows,
        problems=problems,
    )
    for problem in problems:
        print(problem)
    if not rows:
        raise BadValue(problems[0])
    if args.picture:
        draw_latency(rows, describe(here), args.picture)


def memory(args: argparse.Namespace) -> None:
    """Memory of training."""
    if args.batch < 1:
        raise BadValue(f'--batch {args.batch}; expected 1 or more (2 or more for a HyCTAS head)')
    networks, device = read_networks(args, training=True), torch.device(args.device)
    rows = [
        dict(
            network=n.name,
            input=n.input_hw,
            input_from=n.size_from,
            **training_memory(n, args.batch, device, args.check),
        )
        for n in networks
    ]
    table = Table(
        Column('network', overflow='fold'),
        'batch',
        'predicted GB',
        'weights',
        'optimizer',
        'step',
        'measured GB',
        'error',
    )
    for row in rows:
        measured = row.get('measured_gb')
        checked = ('-', '-') if not measured else (f'{measured:.3f}', f'{row["memory_gb"] / measured - 1:+.1%}')
        parts = (f'{row[key] / 1e9:.3f}' for key in ('weights', 'optimizer', 'step'))
        table.add_row(
            row['network'],
            f'{args.batch}x{"x".join(map(str, row["input"]))}',
            f'{row["memory_gb"]:.3f}',
            *parts,
            *checked,
        )
    report(table, args.json, conditions(args.device), networks=rows)


def build_table(args: argparse.Namespace) -> None:
    """The table of a space."""
    here = conditions(args.device, args.threads)
    cfg, space, shape = read_space(args.config, args.shape)
    if args.target:
        build_target_table(args, cfg, space, shape)
        return
    table = LatencyTable(args.out, torch.device(args.device), (1, 3, *shape), args.part_seconds, args.clock)
    here['clock'] = table.clock
    models, count = itertools.islice(random_networks(cfg, space, args.seed), args.samples or 300), 0
    with alone():
        for count, (total, new) in enumerate(table.fill(models, args.rounds or 5), start=1):
            print(f'network {count}: {total} parts, {new} new, {len(table.parts)} in the table', flush=True)
        table.fit_overhead(list(itertools.islice(random_networks(cfg, space, args.seed), min(10, args.samples or 300))))
    print(f'{args.out}: {len(table.parts)} parts of {count} networks, {table.overhead_ms:.3f} ms between two parts')
    print(describe(here))


def build_target_table(args: argparse.Namespace, cfg: Config, space: SearchSpace, shape: tuple[int, int]) -> None:
    """The table of a target."""
    target = Target.read(args.target, args.precision, torch.get_num_threads())
    if args.out.exists():
        raise FileInTheWay(f'{args.out} is there already; the table of a target is made at once: name another file')
    handover = read_handover(cfg, space)
    table = FittedTable(args.out, target, (1, 3, *shape), handover.of(space))
    costs = CandidateCosts(cfg.model.to_dict(), table.input_shape, table, handover=handover)
    build_table_of_target(costs, space, target.place(torch.device(args.device)), args.samples or 80, args.rounds or 2)
    print(f'{args.out}: {table.measured_on["device"]}, {table.measured_on["software"]}')


def compare_table(args: argparse.Namespace) -> None:
    """How good the table is."""
    here = conditions(args.device, args.threads)
    cfg, space, shape = read_space(args.config, args.shape)
    if not args.table.is_file():
        raise NoSuchFile(f'{args.table}: no such table; make it with build-table')
    if check := read_json(args.table).get('check'):
        print(f'{args.table}: the table of a target, which was checked when it was made: {FitCheck(**check)}')
        return
    table = LatencyTable(args.table, torch.device(args.device), (1, 3, *shape), clock=args.clock)
    here['clock'] = table.clock
    known = len(table.parts)
    models = list(itertools.islice(random_networks(cfg, space, args.seed), args.archs))
    with alone():
        check = check_table(table, models, args.seconds, args.rounds)
    found = check.summary()
    rendered = Table(
        'networks',
        'median error',
        'worst error',
        'mean (signed)',
        'Spearman',
        'Kendall',
        'noise',
        'drift',
        'error beyond drift',
    )
    errors = [f'{found[key]:.1%}' for key in ('median_error', 'worst_error', 'mean_error')]
    ranks = [f'{found[key]:.3f}' for key in ('spearman', 'kendall')]
    machine = [f'{found["noise"]:.1%}', f'x{found["drift"]:.2f}', f'{found["median_error_beyond_drift"]:.1%}']
    rendered.add_row(str(args.archs), *errors, *ranks, *machine)
    print(f'{args.table}: {known} parts, {len(table.parts) - known} more measured for the check')
    report(
        rendered,
        args.json,
        here,
        **found,
        predicted_ms=check.predicted_ms,
        measured_ms=check.measured_ms,
        rounds_ms=check.rounds_ms,
    )


COMMANDS = {
    'count': count_networks,
    'latency': latency,
    'memory': memory,
    'build-table': build_table,
    'check-table': compare_table,
}


# Search spaces --------------------------------------------------------------------------------------------------------


def read_space(path: str, shape: Sequence[int] | None) -> tuple[Config, SearchSpace, tuple[int, int]]:
    """A supernet's or search's config, its space, and the size at which its networks are measured.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it has no search space, or says no size and ``shape`` is not given.
    """
    if not Path(path).is_file():
        raise NoSuchFile(f'{path}: no such config; give the path of a config of a supernet or of a search')
    cfg = Config.fromfile(path)
    space = cfg.model.backbone.get('search_space')
    if space is None:
        raise BadValue(f'{path}: model.backbone has no search_space; give the config of a supernet or of a search')
    size = shape or cfg.get('train_cfg', {}).get('input_hw') or (input_size(cfg) or (None,))[0]
    if size is None:
        raise BadValue(f'{path}: says no input size, neither by train_cfg.input_hw nor by its data; give --shape H W')
    use_scope(cfg)
    return cfg, SearchSpace.from_dict(space), (size[0], size[1])


def read_handover(cfg: Config, space: SearchSpace) -> Handover:
    """How the networks of a search's config will be trained."""
    return Handover.read(cfg.get('train_cfg', {}).get('handover'), space.base_channels)


def random_networks(cfg: Config, space: SearchSpace, seed: int) -> Iterator[nn.Module]:
    """Networks of random architectures as they ship, on the meta device, without end."""
    rng = np.random.default_rng(seed)
    handover = read_handover(cfg, space)
    while True:
        arch = handover.arch(space.sample(rng))
        yield fuse_conv_bn(shipped_network(cfg.model.to_dict(), arch, handover.base_channels))
