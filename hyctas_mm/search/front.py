"""The Pareto front of a search: who is on it, and whom to keep of it.

Points have one column per objective and smaller is better in each; see :attr:`hyctas_mm.search.objectives.Objective.sign`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]


FRONT = 'front.json'


def front_indices(points: Points) -> list[int]:
    """Indices of the non-dominated points of any number of columns, by ascending last value; of equal points the first."""
    indices = []
    for index, point in enumerate(points):
        others = np.delete(points, index, axis=0)
        dominated = ((others <= point).all(axis=1) & (others < point).any(axis=1)).any()
        if not dominated and not (points[:index] == point).all(axis=1).any():
            indices.append(index)
    return sorted(indices, key=lambda i: float(points[i, -1]))


def spread(values: Sequence[float], count: int) -> list[int]:
    """Indices of ``count`` of the ascending ``values``, both ends among them, as evenly apart as they can be on a logarithmic scale.

    Values that are not positive are taken as they are.
    """
    array = np.asarray(values, dtype=np.float64)
    if len(array) <= count:
        return list(range(len(array)))
    scale = np.log(array) if (array > 0).all() else array
    chosen: list[int] = []
    for step, target in enumerate(np.linspace(scale[0], scale[-1], count) if count > 1 else scale[-1:]):
        first = chosen[-1] + 1 if chosen else 0
        last = len(array) - (count - step)  # leave enough for the targets to come
        chosen.append(first + int(np.abs(scale[first : last + 1] - target).argmin()))
    return chosen
