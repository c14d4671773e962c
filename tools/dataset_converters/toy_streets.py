"""Draws toy streets in Cityscapes' layout: images and labels; for configs/quickstart."""

from __future__ import annotations

import sys

from hyctas_mm.datasets.toy_streets import generate_toy_streets
from hyctas_mm.engine.cli import draw_toy_streets
from hyctas_mm.engine.mistakes import tells_mistakes


@tells_mistakes
def main() -> None:
    draw_toy_streets(__doc__, generate_toy_streets, 'data/toy_streets')


if __name__ == '__main__':
    sys.exit(main())
