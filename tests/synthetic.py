"""A score and a cost in no time, for tests and for demonstrating the comparison of searches."""

from __future__ import annotations

import math

from hyctas_mm.archs import Architecture
from hyctas_mm.search import Objective, read_objectives

MACS_OF_OP = {'conv': 9.0, 'conv_2x': 18.0, 'lite_conv': 3.0, 'lite_conv_2x': 6.0, 'attention': 5.0}
GAIN_OF_OP = {'conv': 1.0, 'conv_2x': 1.4, 'lite_conv': 0.8, 'lite_conv_2x': 1.1, 'attention': 0.6}


def synthetic_score(arch: Architecture) -> dict[str, float]:
    """A made-up mIoU: grows with depth, width and branches ever more slowly, and attention is worth most at coarse
    strides.

    Deterministic, smooth enough for evolution to climb, and in conflict with :func:`synthetic_costs`.
    """
    gain = 0.0
    for placed in arch.cells:
        place = placed.stride_in / 8 if placed.cell.op == 'attention' else 1.0
        gain += place * GAIN_OF_OP.get(placed.cell.op, 1.0) * math.sqrt(placed.cell.width / 12)
    return dict(mIoU=100 * (1 - math.exp(-gain / 12)))


def synthetic_costs(arch: Architecture) -> dict[str, float]:
    """Made-up MACs: the product of both widths of every cell, weighted by its op."""
    macs = sum(MACS_OF_OP.get(p.cell.op, 5.0) * p.width_in * p.cell.width / 144 for p in arch.cells)
    return dict(macs_g=macs)


def synthetic_objectives() -> tuple[Objective, ...]:
    """The objectives of the two functions above."""
    return read_objectives(['mIoU', 'macs_g'])
