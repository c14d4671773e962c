"""Searches a trained supernet; the same as training a search config, with the arguments of a search."""

from __future__ import annotations

import argparse
import sys

from hyctas_mm import register_all_modules
from hyctas_mm.cli import add_config_arguments, add_launcher_arguments, tells_mistakes
from hyctas_mm.errors import BadValue


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_arguments(parser)
    parser.add_argument('--supernet', help="checkpoint of the supernet, in place of the config's")
    parser.add_argument('--resume', action='store_true', help='continue a search that was interrupted')
    add_launcher_arguments(parser)
    return parser.parse_args()


@tells_mistakes
def main() -> None:
    args = parse_args()
    register_all_modules()
    from hyctas_mm.engine.configs import build_runner, check_is_search, load_config, set_supernet, use_launcher

    cfg = load_config(args)
    check_is_search(cfg)
    if args.supernet and not set_supernet(cfg, args.supernet):
        raise BadValue(
            f'--supernet {args.supernet}: train_cfg.evaluator of {cfg.filename} takes no supernet; leave it out'
        )
    cfg.resume = args.resume
    use_launcher(cfg, args.launcher)
    build_runner(cfg, 'train', 'val').train()


if __name__ == '__main__':
    sys.exit(main())
