"""Searches a trained supernet; the same as training a search config, with the arguments of a search."""

from __future__ import annotations

import argparse

from mmengine.runner import Runner

from hyctas_mm.engine.cli import add_config_arguments, load_config, use_launcher


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_arguments(parser)
    parser.add_argument('--supernet', help="checkpoint of the supernet, in place of the config's")
    parser.add_argument('--resume', action='store_true', help='continue a search that was interrupted')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by the launcher')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cfg = load_config(args)
    if cfg.train_cfg.get('type') != 'NSGA2SearchLoop':
        raise SystemExit(f'error: {args.config} is not a search config: its train_cfg is {cfg.train_cfg.get("type")!r}, expected NSGA2SearchLoop')
    if args.supernet:
        cfg.train_cfg.supernet = args.supernet
    cfg.resume = args.resume
    use_launcher(cfg, args.launcher)
    Runner.from_cfg(cfg).train()


if __name__ == '__main__':
    main()
