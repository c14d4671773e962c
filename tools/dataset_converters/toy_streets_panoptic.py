"""Draws toy streets in COCO-panoptic form: images, PNGs of segments, a JSON a split; for configs/panoptic/toy."""

from __future__ import annotations

import sys

from hyctas_mm import register_all_modules
from hyctas_mm.cli import tells_mistakes, toy_streets_arguments


@tells_mistakes
def main() -> None:
    args = toy_streets_arguments(__doc__, 'data/toy_streets_panoptic')
    register_all_modules()
    from hyctas_mm.datasets.panoptic import toy_streets_panoptic

    root = toy_streets_panoptic(**vars(args))
    print(f'{args.num_train} training and {args.num_val} validation images: {root}')


if __name__ == '__main__':
    sys.exit(main())
