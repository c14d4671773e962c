"""Trains any config of ours: a supernet, a subnet, or a search (whose train loop is the search)."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmengine.config import Config, DictAction
from mmengine.runner import Runner


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='where logs and checkpoints go; default work_dirs/<config name>')
    parser.add_argument('--resume', action='store_true', help='continue from what the work dir holds')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='overrides, e.g. train_cfg.max_iters=100')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by the launcher')
    return parser.parse_args()


def load_config(args: argparse.Namespace) -> Config:
    """The config with the command line's overrides."""
    cfg = Config.fromfile(args.config)
    if args.cfg_options:
        cfg.merge_from_dict(args.cfg_options)
    cfg.launcher = args.launcher
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or str(Path('work_dirs') / Path(args.config).stem)
    cfg.resume = cfg.get('resume', False) or args.resume
    return cfg


def main() -> None:
    Runner.from_cfg(load_config(parse_args())).train()


if __name__ == '__main__':
    main()
