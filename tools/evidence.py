"""Experiments that show whether a search can be trusted (paper section 4.5). Each goes on where it was interrupted.

Examples:
    python tools/evidence.py rank_correlation SEARCH_CONFIG --supernet plain.pth sandwich.pth --archs 10 --seeds 0 1
    python tools/evidence.py random_baseline WORK_DIR --per-track 5
    python tools/evidence.py perturb WORK_DIR --arch ARCHID
    python tools/evidence.py hypervolume SEARCH_CONFIG --supernet plain.pth --seeds 0 1 2 --budget 96
    python tools/evidence.py spaces CONFIG --input-hw 227 320 --latencies 8=4 16=6 40=10
    python tools/evidence.py landmarks CONFIG --input-hw 227 320 --latency-range 4 30 6.5 40 10 40 --seeds 0 1 2
    python tools/evidence.py judges WORK_DIR/landmarks.json [--record SEARCH_CONFIG --steps-before 1500]
    python tools/evidence.py proof WORK_DIR/landmarks.json SEARCH_DIR SEARCH_DIR --recipe CONFIG --seeds 0 1
    python tools/evidence.py optimisers WORK_DIR/landmarks.json
    python tools/evidence.py hypervolume nsga2=WORK_DIR_1 nsga2=WORK_DIR_2 --out compared.png
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence

from hyctas_mm import register_all_modules
from hyctas_mm.cli import ConfigOptions, add_config_arguments, tells_mistakes


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='command', required=True)

    command = commands.add_parser('rank_correlation', help='supernet score against training from scratch (Table 1)')
    add_config_arguments(command)
    command.add_argument(
        '--supernet',
        nargs='+',
        required=True,
        metavar='PTH',
        help='checkpoints to compare; differences are to the first',
    )
    command.add_argument('--archs', type=int, default=10, help='random architectures to train (default 10)')
    _add_training_arguments(command, 'architectures')

    command = commands.add_parser('random_baseline', help='chosen networks against random ones of like cost (Table 7)')
    command.add_argument('work_dir', help='work dir of a finished search')
    command.add_argument(
        '--per-track', type=int, default=5, help='random networks for each number of branches (default 5)'
    )
    _add_training_arguments(command, 'random networks')

    command = commands.add_parser('perturb', help='a searched network against distorted ones (Table 8)')
    command.add_argument('work_dir', help='work dir of a finished search')
    command.add_argument('--arch', required=True, help='archid in the archive, published name or JSON file')
    _add_training_arguments(command, 'shifts of attention')

    command = commands.add_parser('spaces', help='random networks of several search spaces at equal latencies')
    add_config_arguments(command)
    command.add_argument('--input-hw', type=int, nargs=2, required=True, help='size that latency is measured at')
    command.add_argument(
        '--latencies',
        nargs='+',
        required=True,
        metavar='MS=BASE',
        help='milliseconds, and base channels of which most networks take about as long',
    )
    command.add_argument('--per-latency', type=int, default=8, help='networks of a space at a latency (default 8)')
    _add_queue_arguments(command)

    command = commands.add_parser('landmarks', help='networks of a space trained alike, to try ways of judging against')
    add_config_arguments(command)
    command.add_argument('--input-hw', type=int, nargs=2, required=True, help='size that latency is measured at')
    command.add_argument(
        '--latency-range',
        type=float,
        nargs='+',
        required=True,
        metavar='MS',
        help='LOW HIGH for all networks, or for each number of branches',
    )
    command.add_argument('--per-track', type=int, default=16, help='networks of each number of branches (default 16)')
    _add_queue_arguments(command)

    command = commands.add_parser('judges', help='what every way of judging is worth at equal compute, by landmarks')
    command.add_argument('table', help='landmarks.json, of the command landmarks')
    command.add_argument('--budgets', type=int, nargs='+', default=[3000, 6000, 12000], help='training steps in all')
    command.add_argument('--bins', type=int, default=5, help='of latency, in each of which one is picked (default 5)')
    command.add_argument('--window', type=int, default=24, help="landmarks that a bin's candidates are drawn from")
    command.add_argument('--record', metavar='CONFIG', help='a search, whose evaluator judges the landmarks before')
    command.add_argument(
        '--evaluator',
        nargs='+',
        action=ConfigOptions,
        default={},
        metavar='KEY=VALUE',
        help="its evaluator, in place of the config's, e.g. type=InheritedWeights supernet=PTH calibration_batches=16",
    )
    command.add_argument('--name', help="what its evaluator is called in the table; default the evaluator's type")
    command.add_argument('--steps-before', type=float, default=0, help='training steps that it takes once')
    command.add_argument('--steps-each', type=float, default=0, help='training steps that it takes for a network')
    command.add_argument('--work-dir', help='where its files go; default work_dirs/<config name>')
    command.add_argument('--data-root', help="folder of the data, in place of the config's data_root")

    command = commands.add_parser('proof', help='what searches chose against landmarks of like latency, trained alike')
    command.add_argument('table', help='landmarks.json, of the command landmarks')
    command.add_argument('searches', nargs='+', help='work dirs of finished searches of the same space')
    command.add_argument('--recipe', required=True, metavar='CONFIG', help="the landmarks' config")
    command.add_argument('--seeds', type=int, nargs='+', default=[0], help='of the trainings (default 0)')
    command.add_argument('--target', help='where latency is measured, on one thread, e.g. openvino; default: eager')
    command.add_argument('--precision', default='fp32', help="the target's: fp32 or int8 (default: fp32)")
    command.add_argument('--work-dir', default='work_dirs/proof', help='where its files go (default work_dirs/proof)')

    command = commands.add_parser('optimisers', help='search algorithms on scores predicted from landmarks')
    command.add_argument('table', help='landmarks.json, of the command landmarks')
    command.add_argument('--seeds', type=int, nargs='+', default=list(range(10)), help='of the searches (default 0..9)')
    command.add_argument('--budget', type=int, default=480, help='evaluations of each run (default 480)')
    command.add_argument('--population', type=int, default=40, help='of each number of branches (default 40)')
    command.add_argument(
        '--mutation-probs', type=float, nargs='+', default=[0.02, 0.05, 0.1], help='NSGA-II runs with each'
    )
    command.add_argument('--out', help='PNG to write, JSON beside it; default optimisers.png beside the table')

    command = commands.add_parser(
        'hypervolume', help='NSGA-II against random search and regularised evolution, or finished searches'
    )
    command.add_argument(
        'sources', nargs='+', help='a search config; or finished searches (archive or folder), NAME=PATH to group them'
    )
    command.add_argument('--work-dir', help='where the results of a config go; default work_dirs/<config name>')
    command.add_argument('--data-root', help="folder of the data, in place of the config's data_root")
    command.add_argument('--supernet', metavar='PTH', help="checkpoint, in place of the config's")
    command.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    command.add_argument('--budget', type=int, default=96, help='evaluations of each run (default 96)')
    command.add_argument('--population', type=int, default=8, help='population of each number of branches (default 8)')
    command.add_argument(
        '--ideal',
        nargs='+',
        default=[],
        metavar='NAME=VALUE',
        help='best corner of the volume; default the best value of all runs',
    )
    command.add_argument(
        '--reference',
        nargs='+',
        default=[],
        metavar='NAME=VALUE',
        help='worst corner; default the worst value of all runs',
    )
    command.add_argument('--out', help='PNG to write, JSON beside it; default hypervolume.png in the work dir')
    return parser.parse_args(argv)


def _add_training_arguments(command: argparse.ArgumentParser, what: str) -> None:
    command.add_argument('--iters', type=int, help="steps of each training, its schedule scaled; default the config's")
    command.add_argument(
        '--seeds', type=int, nargs='+', default=[0], help='train every network once with each (default 0)'
    )
    command.add_argument('--sample-seed', type=int, default=0, help=f'seed of the {what} (default 0)')


def _add_queue_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument('--metric', default='mIoU')
    command.add_argument(
        '--shard', type=int, nargs=2, default=[0, 1], metavar=('I', 'N'), help='train every N-th network only'
    )
    command.add_argument('--seeds', type=int, nargs='+', default=[0], help='of the trainings (default 0)')


@tells_mistakes
def main(argv: Sequence[str] | None = None) -> None:
    """Runs a command."""
    args = parse_args(argv)
    warnings.filterwarnings('ignore')
    register_all_modules()
    from hyctas_mm.studies import commands

    getattr(commands, f'run_{args.command}')(args)


if __name__ == '__main__':
    sys.exit(main())
