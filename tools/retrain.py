"""Retrains and tests the networks a search chose, and random ones of like cost beside them; then writes the report
anew.

Networks that are done are left alone, so an interrupted run goes on with the network it was at. With --base-channels or
--low-level they are made wider or finer first, each in a folder of its own beside the one that the search exported.

Example:
    python tools/retrain.py work_dirs/my_search
    python tools/retrain.py work_dirs/my_search --qat 200
    python tools/retrain.py work_dirs/my_search --ema --teacher large.py large.pth
    python tools/retrain.py work_dirs/my_search --networks 1f3a5c7e9b0d --base-channels 16 --low-level s4
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from hyctas_mm import register_all_modules
from hyctas_mm.archs import LOW_LEVELS
from hyctas_mm.cli import (
    ConfigOptions,
    add_batch_arguments,
    add_init_argument,
    add_launcher_arguments,
    add_retraining_arguments,
    tells_mistakes,
)
from hyctas_mm.errors import BadValue


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('search', type=Path, help="a search's work dir")
    parser.add_argument(
        '--networks', nargs='+', metavar='NETWORK', help='only these of the chosen ones (folders of subnets/)'
    )
    parser.add_argument(
        '--base-channels', type=int, metavar='N', help="filter multiplier to train with, if not the search's"
    )
    parser.add_argument('--low-level', choices=LOW_LEVELS, help="the head's low-level fusion, if not as found")
    add_retraining_arguments(parser)
    add_launcher_arguments(parser)
    add_batch_arguments(parser)  # --accumulate is what it does without either
    parser.add_argument('--seed', type=int, default=0, help='seed of the random architectures')
    parser.add_argument(
        '--shard',
        type=int,
        nargs=2,
        metavar=('I', 'N'),
        default=(0, 1),
        help='train every N-th network from the I-th, on the I-th GPU where there are several: one process for each',
    )
    parser.add_argument(
        '--inherit', action='store_true', help="start from the supernet's weights instead of from scratch"
    )
    add_init_argument(parser)
    parser.add_argument(
        '--ema',
        type=float,
        nargs='?',
        const=0.0,
        metavar='MOMENTUM',
        help='keep, test and ship an exponential average of the weights; without a momentum over about a sixth of the '
        'training',
    )
    parser.add_argument(
        '--teacher',
        nargs='+',
        metavar='FILE',
        help='learn from another network too, of which give config and checkpoint; largest: of these networks the one '
        'of most MACs, which is trained first and without',
    )
    parser.add_argument(
        '--qat',
        type=int,
        metavar='STEPS',
        help='then train each network on in 8 bits, so that its INT8 file loses little: int8.pth, of which '
        'tools/deploy.py makes INT8 files',
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=ConfigOptions, default={}, help="overrides of every network's config"
    )
    return parser.parse_args()


@tells_mistakes
def main() -> None:
    args = parse_args()
    register_all_modules()
    from mmengine.dist import barrier, is_main_process

    from hyctas_mm.engine.configs import start_processes
    from hyctas_mm.engine.extras import Extras
    from hyctas_mm.engine.int8_training import train_int8
    from hyctas_mm.engine.progress import Progress
    from hyctas_mm.engine.retraining import add_random, hand_over, largest, metric, networks_to_train, retrain
    from hyctas_mm.report.html import write_report
    from hyctas_mm.search.folder import SearchFolder
    from hyctas_mm.wizard.pipeline import doubts_of

    search = SearchFolder.find(args.search)
    if not 0 <= args.shard[0] < args.shard[1]:
        raise BadValue(f'--shard {args.shard[0]} {args.shard[1]}; expected I N with I from 0 to N - 1')
    if args.qat is not None and args.launcher != 'none':
        raise BadValue(f'--qat with --launcher {args.launcher}: it trains in one process; start it without')
    chosen = search.chosen()  # there is one, or an error
    if unknown := sorted({*(args.networks or ())} - {folder.name for folder in chosen}):
        raise BadValue(
            f'--networks {" ".join(unknown)}: not among those that the search chose '
            f'({", ".join(folder.name for folder in chosen)})'
        )
    given = {k: v for k, v in vars(args).items() if k in ('base_channels', 'low_level') and v is not None}
    chosen = [folder for folder in chosen if not args.networks or folder.name in args.networks]
    handover = replace(search.handover, **given)
    if args.inherit and args.init:
        raise BadValue("--inherit and --init are two starts, this job's supernet and another's; give one")
    if args.teacher and args.teacher != ['largest'] and len(args.teacher) != 2:
        raise BadValue(f'--teacher {" ".join(args.teacher)}; expected CONFIG CHECKPOINT, or largest')
    start_processes(args.launcher, args.shard[0])
    if is_main_process():
        made = hand_over(search, chosen, handover)
        if args.random:
            add_random(search, args.random, args.seed, made, handover)
    barrier()
    folders = networks_to_train(search, chosen, handover)[args.shard[0] :: args.shard[1]]
    files = tuple(map(Path, args.teacher)) if args.teacher and len(args.teacher) == 2 else None
    teacher = None
    if args.teacher == ['largest']:
        teacher = largest(search, [search.subnet(folder.name, handover) for folder in chosen])
        files = (teacher / 'config.py', teacher / 'retrained.pth')
        if args.shard[1] > 1 and not files[1].is_file():
            raise BadValue(f'--teacher largest with --shard: train it first, by --networks {teacher.name}')
        folders.sort(key=lambda folder: folder != teacher)
    runs = [(subnet, seed) for seed in args.seeds for subnet in folders]
    progress = Progress('networks trained', len(runs))
    for number, (subnet, seed) in enumerate(runs):
        metrics = retrain(
            subnet, seed, inherit=args.inherit, options=args.cfg_options, auto_scale_lr=args.auto_scale_lr,
            launcher=args.launcher, extras=Extras(args.ema, None if subnet == teacher else files, args.init),
        )  # fmt: skip
        progress.update(number + 1, f'{subnet.name} seed {seed} {search.score} {metric(metrics, search.score):.2f} %')
    if args.qat is not None:
        for subnet in folders:
            found = train_int8(subnet, args.qat, args.cfg_options)
            scores = (metric(found[when], search.score) for when in ('before', 'after'))
            print('{} in 8 bits: {} {:.2f} %, trained on {:.2f} %'.format(subnet.name, search.score, *scores))
    if not is_main_process():
        return
    if warning := doubts_of(search):
        print(f'warning: {warning}')
    print(f'report: {write_report(search.path)}')


if __name__ == '__main__':
    sys.exit(main())
