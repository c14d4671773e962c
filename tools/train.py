"""Trains any config: a supernet, a subnet, or a search (whose train loop is the search)."""

from __future__ import annotations

import argparse
import sys

from hyctas_mm import register_all_modules
from hyctas_mm.cli import (
    add_batch_arguments,
    add_config_arguments,
    add_init_argument,
    add_launcher_arguments,
    add_workers_argument,
    tells_mistakes,
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_arguments(parser)
    parser.add_argument('--resume', action='store_true', help='continue from what the work dir holds')
    parser.add_argument('--load-from', help='checkpoint to start from, e.g. the weights inherited from the supernet')
    add_init_argument(parser)
    add_batch_arguments(parser)
    add_workers_argument(parser)
    add_launcher_arguments(parser)
    return parser.parse_args()


@tells_mistakes
def main() -> None:
    args = parse_args()
    register_all_modules()
    from hyctas_mm.engine.batches import fit_batch
    from hyctas_mm.engine.configs import build_runner, load_config, set_workers, use_launcher
    from hyctas_mm.engine.transfer import begin_with

    cfg = load_config(args)
    use_launcher(cfg, args.launcher)
    fit_batch(cfg, args.accumulate, args.auto_scale_lr)
    if args.workers is not None:
        set_workers(cfg, None if args.workers == 'auto' else args.workers)
    if args.init:
        begin_with(cfg, args.init)
    cfg.resume = cfg.get('resume', False) or args.resume
    cfg.load_from = args.load_from or cfg.get('load_from')
    build_runner(cfg, 'train', 'val').train()


if __name__ == '__main__':
    sys.exit(main())
