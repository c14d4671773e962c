"""Retrains and tests the networks a search chose, and random ones of like cost beside them; then writes the report
anew.

Networks that are done are left alone, so an interrupted run goes on with the network it was at.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hyctas_mm import register_all_modules
from hyctas_mm.cli import (
    ConfigOptions,
    add_batch_arguments,
    add_launcher_arguments,
    add_retraining_arguments,
    tells_mistakes,
)
from hyctas_mm.errors import BadValue


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('search', type=Path, help="a search's work dir")
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
    from hyctas_mm.engine.progress import Progress
    from hyctas_mm.engine.retraining import add_random, metric, retrain
    from hyctas_mm.report.html import write_report
    from hyctas_mm.search.folder import SearchFolder
    from hyctas_mm.wizard.pipeline import doubts_of

    search = SearchFolder.find(args.search)
    if not 0 <= args.shard[0] < args.shard[1]:
        raise BadValue(f'--shard {args.shard[0]} {args.shard[1]}; expected I N with I from 0 to N - 1')
    search.chosen()  # there is one, or an error
    start_processes(args.launcher, args.shard[0])
    if args.random and is_main_process():
        add_random(search, args.random, args.seed)
    barrier()
    folders = search.subnets()[args.shard[0] :: args.shard[1]]
    runs = [(subnet, seed) for seed in args.seeds for subnet in folders]
    progress = Progress('networks trained', len(runs))
    for number, (subnet, seed) in enumerate(runs):
        metrics = retrain(
            subnet, seed, inherit=args.inherit, options=args.cfg_options, auto_scale_lr=args.auto_scale_lr,
            launcher=args.launcher,
        )  # fmt: skip
        progress.update(number + 1, f'{subnet.name} seed {seed} {search.score} {metric(metrics, search.score):.2f} %')
    if not is_main_process():
        return
    if warning := doubts_of(search):
        print(f'warning: {warning}')
    print(f'report: {write_report(search.path)}')


if __name__ == '__main__':
    sys.exit(main())
