"""The Pareto front of a search: who is on it, and whom to keep of it.

Points have one column per objective and smaller is better in each; see
:attr:`hyctas_mm.search.objectives.Objective.sign`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
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


def spread(values: Sequence[float], count: int) -> list[int]:
    """Indices of ``count`` of the ascending ``values``, both ends among them, as evenly apart as they can be on a
    logarithmic scale.

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
        num_chosen: How many to choose, spread over the first objective that is to be small.
        screening: The rule by which candidates were given up.
    """
    objectives = demands.objectives
    cost = next((o.name for o in objectives if o.direction == 'min'), objectives[-1].name)
    front = sorted(front_of(candidates, demands), key=lambda c: c.value(cost) or 0.0)
    chosen = [front[i] for i in spread([c.value(cost) or 0.0 for c in front], num_chosen)]
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
