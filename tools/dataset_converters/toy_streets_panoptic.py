"""Draws toy streets in COCO-panoptic form: images, PNGs of segments, a JSON a split; for configs/panoptic/toy."""

from __future__ import annotations

import sys

from hyctas_mm.datasets.panoptic import toy_streets_panoptic
from hyctas_mm.engine.cli import draw_toy_streets
from hyctas_mm.engine.mistakes import tells_mistakes


@tells_mistakes
def main() -> None:
    draw_toy_streets(__doc__, toy_streets_panoptic, 'data/toy_streets_panoptic')


if __name__ == '__main__':
    sys.exit(main())
