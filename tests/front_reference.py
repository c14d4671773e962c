"""The front and the hypervolume of two objectives, written down plainly, to compare with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]


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
