"""NSGA-II's survival with the paper's weights: "picked by ranks and the crowding distance weighted by w" (Algorithm
1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pymoo.operators.survival.rank_and_crowding import RankAndCrowding
from pymoo.operators.survival.rank_and_crowding.metrics import FunctionalDiversity
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

Array = npt.NDArray[np.float64]


def weighted_crowding_distance(points: Array, weights: Sequence[float]) -> Array:
    """Crowding distance in which each objective's gap counts by its weight.

    With equal weights this is NSGA-II's distance: for every objective the normalised gap between a point's two
    neighbours, infinite at both ends, averaged. An objective of weight 0 does not count, and its ends are not kept.

    Args:
        points: (N, objectives).
        weights: One per objective, >= 0.

    Returns:
        (N,), larger is lonelier.
    """
    number, objectives = points.shape
    distance = np.zeros(number)
    for column, weight in zip(points.T, weights, strict=True):
        if weight == 0:
            continue
        order = np.argsort(column, kind='mergesort')
        values = column[order]
        extent = values[-1] - values[0]
        gaps = np.full(number, np.inf)
        if number > 2:
            gaps[1:-1] = (values[2:] - values[:-2]) / extent if extent > 0 else 0.0
        distance[order] += weight * gaps
    return distance / objectives


def best_first(values: Array, violations: Array, weights: Sequence[float]) -> Iterator[int]:
    """Indices from the best to the worst: by how much the bounds are missed, then by rank, then by
    :func:`weighted_crowding_distance`.

    Args:
        values: (N, objectives), smaller is better.
        violations: (N,), 0 where every bound is met.
        weights: One per objective.
    """
    for violation in np.unique(violations):
        equal = np.flatnonzero(violations == violation)
        for front in NonDominatedSorting().do(values[equal]):
            members = equal[front]
            order = np.argsort(-weighted_crowding_distance(values[members], weights), kind='stable')
            yield from members[order].tolist()


class WeightedRankAndCrowding(RankAndCrowding):  # pymoo has no type information
    """pymoo's rank-and-crowding survival with :func:`weighted_crowding_distance`."""

    def __init__(self, weights: Sequence[float]) -> None:
        def crowding(points: Array, **_: Any) -> Array:
            return weighted_crowding_distance(points, weights)

        super().__init__(crowding_func=FunctionalDiversity(crowding, filter_out_duplicates=True))
