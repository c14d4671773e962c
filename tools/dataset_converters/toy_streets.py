"""Draws toy streets in Cityscapes' layout: images and labels; for configs/quickstart."""

from __future__ import annotations

import sys

from hyctas_mm import register_all_modules
from hyctas_mm.cli import tells_mistakes, toy_streets_arguments


@tells_mistakes
def main() -> None:
    args = toy_streets_arguments(__doc__, 'data/toy_streets')
    register_all_modules()
    from hyctas_mm.datasets.toy.streets import generate_toy_streets

    root = generate_toy_streets(**vars(args))
    print(f'{args.num_train} training and {args.num_val} validation images: {root}')


if __name__ == '__main__':
    sys.exit(main())
