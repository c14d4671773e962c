"""Removes the small gates of a trained network's DenseFusionNeck: config.py, weights.pth."""

from __future__ import annotations

import argparse
import sys

from hyctas_mm import register_all_modules
from hyctas_mm.cli import tells_mistakes


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='the config that the network was trained with')
    parser.add_argument('checkpoint', help='its checkpoint')
    parser.add_argument('--out', required=True, help='folder to write')
    parser.add_argument(
        '--threshold', type=float, default=0.1, help='gates below it are removed, but for the widest into each output'
    )
    return parser.parse_args()


@tells_mistakes
def main() -> None:
    args = parse_args()
    register_all_modules()
    from hyctas_mm.engine.configs import read_config
    from hyctas_mm.engine.fusion_pruning import prune_fusion

    found = prune_fusion(read_config(args.config), args.checkpoint, args.out, args.threshold)
    for (source, target), (gate, stays) in found.items():
        print(f'level {source} to {target}: gate {gate:.3f}, {"stays" if stays else "removed"}')
    print(f'{sum(stays for _, stays in found.values())} of {len(found)} connections, written to {args.out}')


if __name__ == '__main__':
    sys.exit(main())
