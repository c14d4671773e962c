"""Draws toy streets in COCO-panoptic form: images, PNGs of segments and a JSON for each split."""

from __future__ import annotations

import argparse
import sys

from hyctas_mm.datasets.panoptic import toy_streets_panoptic
from hyctas_mm.engine.mistakes import tells_mistakes


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('out', metavar='OUT_DIR', help='folder to write to, e.g. data/toy_streets_panoptic; a set that is there already is kept')
    parser.add_argument('--num-train', type=int, default=96, help='training images, in three cities')
    parser.add_argument('--num-val', type=int, default=32, help='validation images')
    parser.add_argument('--shape', type=int, nargs=2, metavar=('H', 'W'), default=(128, 256), help='height and width in pixels')
    parser.add_argument('--seed', type=int, default=0)
    return parser.parse_args()


@tells_mistakes
def main() -> None:
    args = parse_args()
    height, width = args.shape
    root = toy_streets_panoptic(args.out, num_train=args.num_train, num_val=args.num_val, height=height, width=width, seed=args.seed)
    print(f'{args.num_train} training and {args.num_val} validation images: {root}')


if __name__ == '__main__':
    sys.exit(main())
