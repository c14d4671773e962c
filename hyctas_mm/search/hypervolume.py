"""How much of objective space a search dominates, in one frame for all searches that are compared.

pymoo's indicator measures the volume; what it lacks is a normalisation with a meaning, and the growth over evaluations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pymoo.indicators.hv import Hypervolume

from hyctas_mm.errors import BadValue
from hyctas_mm.search.front import front_indices

Points = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Frame:
    """The box in which the volume is measured: 0 at its ideal corner, 1 at the reference point, of volume 1.

    Attributes:
        ideal: The best corner, smaller is better in each objective.
        reference: The worst corner; what does not reach it adds nothing.

    Raises:
        ValueError: If the reference is not worse than the ideal in each objective.
    """

    ideal: tuple[float, ...]
    reference: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.ideal) != len(self.reference) or not all(
            a < b for a, b in zip(self.ideal, self.reference, strict=True)
        ):
            raise BadValue(
                f'ideal {self.ideal} and reference {self.reference}: the reference must be larger (worse) in each '
                'objective: mend '
                '--ideal or --reference'
            )

    @classmethod
    def around(cls, points: Points) -> Frame:
        """The box of all points; an objective in which all are equal has extent 1, so it does not count.

        Raises:
            ValueError: If there is no point.
        """
        if not len(points):
            raise BadValue('no feasible candidate to measure a hypervolume by; loosen the bounds')
        best, worst = points.min(axis=0), points.max(axis=0)
        return cls(tuple(best.tolist()), tuple(np.where(worst > best, worst, best + 1).tolist()))

    def volumes(self, points: Points) -> Points:
        """Share of the box that the first 1, 2, ..., N points dominate.

        Args:
            points: (N, objectives), smaller is better; infinite where there is nothing to count.

        Returns:
            (N,), never falling.
        """
        ideal, reference = np.asarray(self.ideal), np.asarray(self.reference)
        indicator = Hypervolume(ref_point=np.ones(len(ideal)), norm_ref_point=False)
        front: Points = np.empty((0, len(ideal)))
        volume, volumes = 0.0, np.zeros(len(points))
        for index, point in enumerate((np.asarray(points) - ideal) / (reference - ideal)):
            if (point < 1).all():
                front = np.vstack([front, point])
                front = front[front_indices(front)]
                volume = float(indicator.do(front))
            volumes[index] = volume
        return volumes


@dataclass(frozen=True)
class Band:
    """Curves of several seeds, summed up at each number of evaluations."""

    mean: Points
    low: Points
    high: Points


def band(curves: Sequence[Points]) -> Band:
    """Mean, lowest and highest of curves; one that ended early stays at its last value, as nothing more was found.

    Raises:
        ValueError: If there is no curve, or an empty one.
    """
    if not curves or not all(map(len, curves)):
        raise BadValue('a run evaluated nothing; loosen the bounds')
    length = max(map(len, curves))
    stacked = np.stack([np.pad(curve, (0, length - len(curve)), mode='edge') for curve in curves])
    return Band(stacked.mean(axis=0), stacked.min(axis=0), stacked.max(axis=0))
