"""The Pareto front of a search: who is on it, and whom to keep of it.

Points have one column per objective and smaller is better in each; see
:attr:`hyctas_mm.search.objectives.Objective.sign`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pymoo.indicators.hv import Hypervolume
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from hyctas_mm.search.archive import Candidate
from hyctas_mm.search.demands import Demands
from hyctas_mm.search.screening import Screening

Points = npt.NDArray[np.float64]

FRONT = 'front.json'


def front_indices(points: Points) -> list[int]:
    """Indices of the non-dominated points of any number of columns, by ascending last value; of equal points the
    first.
    """
    if not len(points):
        return []
    front = np.sort(NonDominatedSorting().do(points, only_non_dominated_front=True))
    _, first = np.unique(points[front], axis=0, return_index=True)
    return sorted((int(i) for i in front[first]), key=lambda i: (float(points[i, -1]), i))


def choose(points: Points, first: int, count: int) -> list[int]:
    """Whom to keep of a front: the best in one column, then one after the other whoever adds most to the hypervolume.

    So what comes next to nothing is left out, e.g. the fastest network where one that is a little slower is far better.
    Columns of positive values count by their logarithm. The reference is the worst of the front in each column.

    Args:
        points: (N, columns), none dominated.
        first: The column whose best point is always kept.
        count: How many to keep.

    Returns:
        Indices in the order in which they were chosen.
    """
    scale = np.where((points > 0).all(axis=0), np.log(np.where(points > 0, points, 1.0)), points)
    extent = np.ptp(scale, axis=0)
    scale = (scale - scale.min(axis=0)) / np.where(extent > 0, extent, 1.0)
    indicator = Hypervolume(ref_point=np.ones(points.shape[1]), norm_ref_point=False)
    chosen = [int(points[:, first].argmin())][:count]
    while len(chosen) < min(count, len(points)):
        left = [i for i in range(len(points)) if i not in chosen]
        chosen.append(max(left, key=lambda i: float(indicator.do(scale[[*chosen, i]]))))
    return chosen


def front_of(candidates: Sequence[Candidate], demands: Demands) -> list[Candidate]:
    """The non-dominated feasible candidates."""
    feasible = [c for c in candidates if not c.violations]
    points = np.array([demands.minimised(c) for c in feasible]).reshape(-1, len(demands.objectives))
    return [feasible[i] for i in front_indices(points)]


def describe_front(
    candidates: Sequence[Candidate],
    demands: Demands,
    tracks: Sequence[int | None],
    num_chosen: int,
    screening: Screening | None = None,
) -> dict[str, Any]:
    """What ``front.json`` holds of candidates: the front, the fronts of the tracks, who is chosen, and counts.

    Args:
        candidates: All that were evaluated.
        demands: Objectives and bounds.
        tracks: Numbers of branches searched separately, ``[None]`` for a joint search.
        num_chosen: How many to choose, see :func:`choose`: the one with the best score first.
        screening: The rule by which candidates were given up.
    """
    objectives = demands.objectives
    cost = next((o.name for o in objectives if o.direction == 'min'), objectives[-1].name)
    front = sorted(front_of(candidates, demands), key=lambda c: c.value(cost) or 0.0)
    points = np.array([demands.minimised(c) for c in front]).reshape(-1, len(objectives))
    best = next((n for n, o in enumerate(objectives) if o.direction == 'max'), 0)
    chosen = [front[i] for i in sorted(choose(points, best, num_chosen))] if front else []
    by_track = {str(t): front_of([c for c in candidates if c.track == t], demands) for t in tracks}
    given_up = sum(bool(screening and screening.was_given_up(c.metrics)) for c in candidates)
    return dict(
        objectives=[dict(name=o.name, direction=o.direction, unit=o.unit) for o in objectives],
        front=[c.archid for c in front],
        fronts_by_track={t: [c.archid for c in cs] for t, cs in by_track.items()},
        chosen=[c.archid for c in chosen],
        num_evaluated=len(candidates),
        num_infeasible=sum(bool(c.violations) for c in candidates) - given_up,
        num_given_up=given_up,
        seconds=round(sum(c.seconds for c in candidates), 1),
    )
