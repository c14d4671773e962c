"""The Pareto front of a search: who is on it, whom to keep of it, and how much of the plane it dominates.

Points have one column per objective and smaller is better in each; see :attr:`hyctas_mm.search.objectives.Objective.sign`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]


FRONT = 'front.json'


def non_dominated(points: Points) -> Points:
    """The points that no other is as good as in both and better in one, by ascending first value; equal points once."""
    front: list[int] = []
    for index in np.lexsort((points[:, 1], points[:, 0])):
        if not front or points[index, 1] < points[front[-1], 1]:
            front.append(int(index))
    return points[front]


def hypervolume(points: Points, reference: Sequence[float]) -> float:
    """Area dominated by ``points`` and bounded by ``reference``; points beyond the reference add nothing.

    Args:
        points: (N, 2), smaller is better.
        reference: The worst corner.
    """
    corner = np.asarray(reference, dtype=np.float64)
    front = non_dominated(points[(points < corner).all(axis=1)])
    if not len(front):
        return 0.0
    right = np.append(front[1:, 0], corner[0])
    return float(((right - front[:, 0]) * (corner[1] - front[:, 1])).sum())


def hypervolume_curve(points: Points, reference: Sequence[float]) -> Points:
    """Hypervolume of the first 1, 2, ..., N points."""
    values = np.zeros(len(points))
    front: Points = np.empty((0, 2))
    for index, point in enumerate(points):
        if not len(front) or (point < front).any(axis=1).all():  # else a point of the front is as good in both
            front = non_dominated(np.vstack([front, point]))
            values[index] = hypervolume(front, reference)
        else:
            values[index] = values[index - 1]
    return values


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
