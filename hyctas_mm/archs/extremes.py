"""The largest and the smallest architecture of a search space, between which the sandwich rule trains, and steps
towards the smallest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hyctas_mm.archs.architecture import Architecture
from hyctas_mm.archs.genes import HEADER, SETTINGS, GeneLayout, Genes
from hyctas_mm.archs.ops import SKIP
from hyctas_mm.archs.parts import LOW_LEVELS, STEM_STRIDE
from hyctas_mm.archs.search_space import SearchSpace


def largest(space: SearchSpace, rng: np.random.Generator | None = None) -> Architecture:
    """As many branches as the space has, down to its coarsest strides, of all layers, at full width, with as few
    shared cells as possible.

    Size is number of branches, depth and width. Ops and places to go down are no size (neither is contained in
    another), so they are free: without ``rng`` the computing ops in turn, going down as early as possible; with it
    drawn anew, so that training it at every step favours no op.

    Args:
        space: The search space.
        rng: Draws what is no size.
    """
    genes = _settings(space, space.max_branches, smallest=False)
    genes[0] = len(space.end_combinations(space.max_branches)) - 1  # the coarsest, which has the most channels
    computing = [index for index, op in enumerate(space.ops) if op != SKIP]
    for branch in range(space.max_branches):
        block = GeneLayout(space, space.max_branches).block(genes, branch)
        if rng is not None:
            block[1:HEADER] = rng.integers(0, space.layers, size=2)
        ops = [computing[(layer + branch) % len(computing)] for layer in range(space.layers)]
        block[HEADER::2] = ops if rng is None else rng.choice(computing, size=space.layers)
        block[HEADER + 1 :: 2] = _width(space, max)
    return space.decode(genes, space.max_branches)


def smallest(space: SearchSpace, rng: np.random.Generator | None = None) -> Architecture:
    """One branch of as few cells as the space allows, at the least width.

    Without ``rng`` it stays at stride 8 with the first computing op; with it the final stride, which decides which part
    of the head is trained, the ops and the places to go down are drawn.

    Args:
        space: The search space.
        rng: Draws what is no size.
    """
    genes = _settings(space, 1, smallest=True)
    computing = [index for index, op in enumerate(space.ops) if op != SKIP]
    block = GeneLayout(space, 1).block(genes, 0)
    genes[0] = 0 if rng is None else rng.integers(0, len(space.end_combinations(1)))
    if rng is not None:
        block[1:HEADER] = rng.integers(0, space.layers, size=2)
    block[HEADER::2] = computing[0] if rng is None else rng.choice(computing, size=space.layers)
    if SKIP in space.ops:
        cells = 1 + int(genes[0])  # one for each time it goes down, and the last
        block[HEADER + 2 * cells :: 2] = space.ops.index(SKIP)
    block[HEADER + 1 :: 2] = _width(space, min)
    return space.decode(genes, 1)


def shrunk(space: SearchSpace, arch: Architecture, share: float, rng: np.random.Generator) -> Architecture:
    """An architecture with about this share of its cells left out, and of its widths at their least; strides and
    places to go down stay.

    Args:
        space: The search space.
        arch: A member of it.
        share: From 0, which changes nothing, to 1, which leaves as few and narrow cells as the strides allow.
        rng: Draws which.
    """
    count = len(arch.branches)
    genes = space.encode(arch, count)
    layout, least = GeneLayout(space, count), _settings(space, count, smallest=True)
    genes[1:SETTINGS] = np.where(rng.random(SETTINGS - 1) < share, least[1:SETTINGS], genes[1:SETTINGS])
    for view in (layout.depth, layout.detail):
        view(genes)[:] = np.where(rng.random(view(genes).shape) < share, view(least), view(genes))
    for branch in range(count):
        layers = layout.block(genes, branch)[HEADER:]
        if SKIP in space.ops:
            layers[::2][rng.random(space.layers) < share] = space.ops.index(SKIP)
        layers[1::2][rng.random(space.layers) < share] = _width(space, min)
    return space.decode(genes, count)


def _settings(space: SearchSpace, num_branches: int, smallest: bool) -> Genes:
    """Genes with the least or the most of stem, head and cells at stride 4, zero elsewhere."""
    layout, pick = GeneLayout(space, num_branches), min if smallest else max
    genes = layout.zeros()
    low_level = pick(space.low_levels, key=LOW_LEVELS.index)
    genes[1:SETTINGS] = (
        space.stem_widths.index(pick(space.stem_widths)),
        space.head_widths.index(pick(space.head_widths)),
        space.low_levels.index(low_level),
        space.head_attentions.index(pick(space.head_attentions)),
    )
    layout.depth(genes)[:] = space.head_depths.index(pick(space.head_depths))
    computing = [index for index, op in enumerate(space.detail_ops) if op != SKIP]
    skip = smallest and SKIP in space.detail_ops
    layout.detail(genes)[::2] = space.detail_ops.index(SKIP) if skip else computing[0]
    layout.detail(genes)[1::2] = _width(space, pick)
    return genes


def _width(space: SearchSpace, pick: Callable[[Sequence[int]], int]) -> int:
    """The gene of the least or the greatest width at any stride."""
    widths = space.widths_at(STEM_STRIDE)
    return widths.index(pick(widths))
