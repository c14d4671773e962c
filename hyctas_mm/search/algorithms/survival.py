"""NSGA-II's survival with the paper's weights: "picked by ranks and the crowding distance weighted by w" (Algorithm
1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pymoo.operators.survival.rank_and_crowding import RankAndCrowding
from pymoo.operators.survival.rank_and_crowding.metrics import FunctionalDiversity

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


class WeightedRankAndCrowding(RankAndCrowding):  # pymoo has no type information
    """pymoo's rank-and-crowding survival with :func:`weighted_crowding_distance`."""

    def __init__(self, weights: Sequence[float]) -> None:
        def crowding(points: Array, **_: Any) -> Array:
            return weighted_crowding_distance(points, weights)

        super().__init__(crowding_func=FunctionalDiversity(crowding, filter_out_duplicates=True))
