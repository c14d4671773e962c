"""Params and MACs of networks at the size of their input, and their latency, measured in one interleaved run.

More commands, each with --help:
    latency      latency by target, with percentiles, FPS and peak memory
    memory       memory of a training step, predicted and with --check measured
    build-table  the latency table of a search space
    check-table  the table's predictions against whole networks

Examples:
    python tools/benchmark.py configs/drop_in/fcn_*.py --no-latency
    python tools/benchmark.py hyctas-s hyctas-m hyctas-l --low-level s4 --as-release --no-latency
    python tools/benchmark.py work_dirs/*/search/subnets/*/config.py --shape 227 320 --json latency.json
    python tools/benchmark.py latency hyctas-s --shape 512 1024 --targets onnxruntime openvino --precision fp32 int8
    python tools/benchmark.py memory hyctas-s hyctas-l --shape 512 1024 --batch 8
    python tools/benchmark.py build-table SEARCH_CONFIG --out table.json
    python tools/benchmark.py build-table SEARCH_CONFIG --target openvino --precision int8 --threads 1 --out table.json
    python tools/benchmark.py check-table SEARCH_CONFIG table.json
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from hyctas_mm import register_all_modules
from hyctas_mm.archs import zoo_names
from hyctas_mm.archs.parts import LOW_LEVELS
from hyctas_mm.cli import tells_mistakes

DEVICE = 'default: a GPU where there is one'

# Command lines --------------------------------------------------------------------------------------------------------


def count_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_network_arguments(parser)
    parser.add_argument(
        '--as-release',
        action='store_true',
        help='count also with the two fusions that the release computes for nothing',
    )
    parser.add_argument(
        '--no-latency', action='store_true', help='count only: fast, and no memory is taken at any size'
    )
    add_measuring_arguments(parser)
    return parser


def latency_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='benchmark.py latency', description='Latency of fixed networks in eval mode with batch norm fused.'
    )
    add_network_arguments(parser)
    parser.add_argument(
        '--targets',
        nargs='+',
        default=['eager'],
        metavar='TARGET',
        help='some of eager, channels_last, compile, cudagraph, onnxruntime, openvino, ncnn, tensorrt (default: eager)',
    )
    parser.add_argument(
        '--precision', nargs='+', default=['fp32'], help='some of fp32, int8, for targets that have it (default: fp32)'
    )
    parser.add_argument('--picture', metavar='FILE', type=Path, help='draw the latencies, e.g. to latency.png')
    add_measuring_arguments(parser)
    add_condition_arguments(parser)
    return parser


def memory_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='benchmark.py memory', description='Peak memory of a training step with SGD and momentum, in float32.'
    )
    add_network_arguments(parser)
    parser.add_argument('--batch', type=int, required=True, help='images of a step')
    parser.add_argument('--device', help='where the networks are trained')
    parser.add_argument(
        '--check', action='store_true', help='train two steps on blank images, in a process of its own, and measure'
    )
    parser.add_argument('--json', metavar='FILE', type=Path, help='write the numbers to a file')
    return parser


def build_table_parser() -> argparse.ArgumentParser:
    parser = table_parser(
        'build-table', 'Measures the parts of random networks of a search space until few new ones appear.'
    )
    parser.add_argument('--out', type=Path, required=True, help='the table; one that exists is continued')
    parser.add_argument(
        '--target', help='measure whole networks there and fit the table to them, as train_cfg.target does'
    )
    parser.add_argument('--precision', default='fp32', help="the target's: fp32 or int8 (default: fp32)")
    parser.add_argument('--samples', type=int, help='random networks at most (default: 300; of a target 80)')
    parser.add_argument(
        '--part-seconds', type=float, default=0.1, help='time to measure each new part in each round (default: 0.1)'
    )
    parser.add_argument(
        '--rounds', type=int, help='how often each part is measured (default: 5), or each network (of a target 2)'
    )
    return parser


def check_table_parser() -> argparse.ArgumentParser:
    parser = table_parser(
        'check-table', 'Compares the predictions of a latency table with measurements of whole random networks.'
    )
    parser.add_argument('table', type=Path, help='the table; parts that it lacks are measured and added')
    parser.add_argument('--archs', type=int, default=40, help='random networks (default: 40)')
    parser.add_argument('--seconds', type=float, default=1.5, help='time to measure each network (default: 1.5)')
    parser.add_argument(
        '--rounds',
        type=int,
        default=5,
        help='rounds that the time is split over, each visiting every network (default: 5)',
    )
    parser.add_argument('--json', metavar='FILE', type=Path, help='write the numbers to a file')
    parser.set_defaults(seed=1)
    return parser


def table_parser(name: str, description: str) -> argparse.ArgumentParser:
    """What the commands on tables share."""
    parser = argparse.ArgumentParser(prog=f'benchmark.py {name}', description=description)
    parser.add_argument('config', help='config of a search or of a supernet')
    parser.add_argument(
        '--shape',
        type=int,
        nargs=2,
        metavar=('H', 'W'),
        help='input size; default: train_cfg.input_hw, or what the config tests at',
    )
    parser.add_argument('--device', help=DEVICE)
    parser.add_argument('--seed', type=int, default=0, help='of the random networks')
    add_condition_arguments(parser)
    return parser


def add_network_arguments(parser: argparse.ArgumentParser) -> None:
    """Which networks."""
    parser.add_argument(
        'networks',
        nargs='+',
        help=f'configs of networks, architecture files (.json), or published ones: {", ".join(zoo_names())}',
    )
    parser.add_argument(
        '--shape', type=int, nargs=2, metavar=('H', 'W'), help='input size; default: as the config says'
    )
    only = parser.add_argument_group('published networks (by default at 1024 2048) and architecture files only')
    only.add_argument(
        '--base-channels', type=int, help="filter multiplier; default: the paper's, 12 for S and M, 16 for L"
    )
    only.add_argument(
        '--low-level', choices=LOW_LEVELS, help="maps of the stem that the head fuses; default: the architecture's"
    )
    only.add_argument('--classes', type=int, help='number of classes; default: 19')


def add_measuring_arguments(parser: argparse.ArgumentParser) -> None:
    """How to measure."""
    parser.add_argument('--json', metavar='FILE', type=Path, help='write the numbers to a file')
    parser.add_argument('--device', help=DEVICE)
    parser.add_argument(
        '--seconds', type=float, default=6.0, help="time to measure each network (default: the paper's 6)"
    )
    parser.add_argument(
        '--rounds', type=int, default=6, help='rounds that the time is split over, each visiting every network'
    )


def add_condition_arguments(parser: argparse.ArgumentParser) -> None:
    """Under which conditions."""
    parser.add_argument('--threads', type=int, help='threads on the CPU; default: as many as PyTorch takes')
    clock = "'cpu': processor time, not lengthened by a busy machine; one thread only. Default: 'wall'; of tables what "
    clock += "they have, of a new one 'cpu' for one thread"
    parser.add_argument('--clock', choices=('wall', 'cpu'), help=clock)


# The command ----------------------------------------------------------------------------------------------------------


@tells_mistakes
def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command that the first argument names, or counts and measures."""
    argv = sys.argv[1:] if argv is None else list(argv)
    parsers = {
        'latency': latency_parser,
        'memory': memory_parser,
        'build-table': build_table_parser,
        'check-table': check_table_parser,
    }
    command = argv.pop(0) if argv and argv[0] in parsers else 'count'
    args = parsers.get(command, count_parser)().parse_args(argv)
    warnings.filterwarnings('ignore')
    register_all_modules()
    from mmengine.device import get_device

    from hyctas_mm.measuring.commands import COMMANDS

    args.device = args.device or get_device()
    COMMANDS[command](args)


if __name__ == '__main__':
    sys.exit(main())
