"""Ours beside small networks of mmseg: params, MACs, latency by target and memory at one input size, all networks in
one interleaved run.

python benchmarks/peers.py [--networks hyctas-s CONFIG ...] [--shape 512 1024] [--targets eager onnxruntime]
                           [--precision fp32 int8] [--seconds 3] [--rounds 3] [--threads 1] [--clock cpu] [--device cpu]
                           [--json FILE] [--picture FILE]

Weights are random: no number here depends on them. Images are padded for peers that take multiples of a size only.
What does not work with a network is told below the table. compile takes minutes a network.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

import torch
from mmengine.device import get_device
from rich.table import Column, Table

from hyctas_mm import register_all_modules
from hyctas_mm.archs import zoo_names
from hyctas_mm.costs import CLOCKS, target_names
from hyctas_mm.measuring import Network, count, from_config, measure, prepare, published, read_targets
from hyctas_mm.measuring.peers import PEERS, padded_size, peer_model
from hyctas_mm.measuring.picture import draw_latency
from hyctas_mm.measuring.printing import conditions, describe, report


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--networks', nargs='*', default=['hyctas-s', 'hyctas-m', 'hyctas-l'], help='ours: published names or configs'
    )
    parser.add_argument(
        '--peers',
        nargs='*',
        choices=list(PEERS),
        default=list(PEERS),
        metavar='PEER',
        help=f'default: all of {", ".join(PEERS)}',
    )
    parser.add_argument('--shape', type=int, nargs=2, default=(512, 1024), metavar=('H', 'W'))
    parser.add_argument('--classes', type=int, default=19, help='of the peers and published networks (default 19)')
    parser.add_argument('--targets', nargs='+', choices=target_names(), default=['eager', 'onnxruntime'])
    parser.add_argument(
        '--precision', nargs='+', default=['fp32'], help='some of fp32, int8, for targets that have it (default fp32)'
    )
    parser.add_argument(
        '--seconds', type=float, default=3.0, help='time to measure each network with each target (default 3)'
    )
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--threads', type=int)
    parser.add_argument(
        '--clock', choices=CLOCKS, default='wall', help="'cpu': processor time, for one thread on a busy machine"
    )
    parser.add_argument('--device', default=get_device())
    parser.add_argument('--json', type=Path, metavar='FILE')
    parser.add_argument('--picture', type=Path, metavar='FILE', help='draw the latencies, e.g. to latency.png')
    return parser.parse_args()


def main() -> None:
    """Prints the table."""
    args = parse_args()
    warnings.filterwarnings('ignore')
    register_all_modules()
    conditions(args.device, args.threads)  # sets the threads that targets have
    targets = {str(target): target for target in read_targets(args.targets, args.precision)}
    here = conditions(args.device, None, args.clock, list(targets.values()))
    device, shape = torch.device(args.device), (args.shape[0], args.shape[1])
    ours = [
        published(n, shape, None, None, args.classes) if n in zoo_names() else from_config(n, shape)
        for n in args.networks
    ]
    peers = [Network(n, peer_model(n, args.classes), padded_size(n, shape), '--shape') for n in args.peers]
    networks: list[Network] = []
    rows: list[dict[str, Any]] = []
    problems = []
    for network in (*ours, *peers):
        try:
            rows.append(dict(network=network.name, input_hw=network.input_hw, **count(network, device='cpu')))
            networks.append(network)
        except Exception as error:  # whatever networks of others raise at a size that they do not take
            problems.append(f'{network.name} at {network.input_hw}: {str(error).splitlines()[0]}')
    for name, target in targets.items():
        prepared, places = [], []
        for place, network in enumerate(networks):
            try:
                prepared.append(prepare(network, device, target))
                places.append(place)
            except Exception as error:
                problems.append(f'{network.name}, {target}: {str(error).splitlines()[0]}')
        for place, found in zip(places, measure(prepared, device, args.seconds, args.rounds, args.clock), strict=True):
            rows[place][name] = found
    headings = [heading for target in targets for heading in (f'{target} ms', 'rounds', 'MB')]
    table = Table(Column('network', overflow='fold'), 'params M', 'GMACs', *headings)
    for row in rows:
        cells = [f'{row["params"] / 1e6:.2f}', f'{(row["conv_macs"] + row["attention_macs"]) / 1e9:.2f}']
        for target in targets:
            if (found := row.get(target)) is None:
                cells += ['–', '–', '–']
                continue
            rounds, memory = found['rounds_ms'], found['memory_mb']
            cells += [
                f'{found["latency_ms"]:.1f}',
                f'{min(rounds):.1f}..{max(rounds):.1f}',
                '–' if memory is None else f'{memory:.0f}',
            ]
        table.add_row(row['network'], *cells)
    report(table, args.json, here | dict(input_hw=shape), networks=rows, problems=problems)
    for problem in problems:
        print(problem)
    if args.picture:
        bars = [dict(row[name], network=row['network'], target=name) for row in rows for name in targets if name in row]
        draw_latency(bars, describe(here), args.picture)


if __name__ == '__main__':
    main()
