"""Tests a checkpoint and prints the evaluator's metrics."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from mmengine.runner import Runner

from hyctas_mm.engine.cli import add_config_arguments, load_config


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_arguments(parser)
    parser.add_argument('checkpoint', help='weights, e.g. weights.pth beside an exported config')
    parser.add_argument('--out', help='JSON file to write the metrics to')
    parser.add_argument('--show-dir', help='folder to draw predictions into')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cfg = load_config(args)
    cfg.load_from = args.checkpoint
    if args.show_dir:
        cfg.setdefault('default_hooks', {})['visualization'] = dict(type='SegVisualizationHook', draw=True, interval=1)
        cfg.visualizer.save_dir = args.show_dir
    metrics = Runner.from_cfg(cfg).test()
    if args.out:
        Path(args.out).write_text(json.dumps({k: float(v) for k, v in metrics.items()}, indent=1), encoding='utf-8')


if __name__ == '__main__':
    main()
