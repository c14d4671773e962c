"""Tests a checkpoint and prints the evaluator's metrics."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hyctas_mm import register_all_modules
from hyctas_mm.cli import add_config_arguments, add_launcher_arguments, tells_mistakes

if TYPE_CHECKING:
    from mmengine.config import Config


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_arguments(parser)
    parser.add_argument('checkpoint', help='weights, e.g. weights.pth beside an exported config')
    parser.add_argument('--out', help='JSON file to write the metrics to')
    parser.add_argument('--show-dir', help='folder to draw predictions into')
    add_launcher_arguments(parser)
    return parser.parse_args()


def draw_into(cfg: Config, folder: str) -> None:
    """Makes a test draw every prediction into a folder: mmseg's way for segmentors, mmdet's for detectors."""
    hooks = cfg.setdefault('default_hooks', {})
    if cfg.get('default_scope') != 'mmdet':
        hooks['visualization'] = dict(type='SegVisualizationHook', draw=True, interval=1)
        cfg.visualizer.save_dir = folder
        return
    # an absolute folder: the hook puts a relative one below the work dir
    hooks['visualization'] = dict(type='DetVisualizationHook', draw=True, test_out_dir=str(Path(folder).resolve()))
    evaluators = cfg.test_evaluator if isinstance(cfg.test_evaluator, list) else [cfg.test_evaluator]
    if any(evaluator.get('type') == 'PanopticQuality' for evaluator in evaluators):
        cfg.visualizer.type = 'PanopticVisualizer'


@tells_mistakes
def main() -> None:
    args = parse_args()
    register_all_modules()
    from hyctas_mm.engine.configs import build_runner, load_config, use_launcher

    cfg = load_config(args)
    cfg.load_from = args.checkpoint
    use_launcher(cfg, args.launcher)
    if args.show_dir:
        draw_into(cfg, args.show_dir)
    metrics = build_runner(cfg, 'test').test()
    if args.out:
        Path(args.out).write_text(json.dumps({k: float(v) for k, v in metrics.items()}, indent=1), encoding='utf-8')


if __name__ == '__main__':
    sys.exit(main())
