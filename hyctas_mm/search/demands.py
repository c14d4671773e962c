"""Candidates judged by what a search wants: as numbers for a search algorithm, as reasons for a person."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from hyctas_mm.search.archive import Candidate
from hyctas_mm.search.objectives import Bound, Objective

BAD = 1e9
"""Objective value of a candidate that has none; finite, because pymoo sorts it."""


@dataclass(frozen=True)
class Demands:
    """What a search optimises and the bounds that it sets."""

    objectives: tuple[Objective, ...]
    bounds: tuple[Bound, ...]

    def problems(self, values: Mapping[str, float], failure: str = '') -> tuple[str, ...]:
        """Why metrics and costs make a candidate infeasible; empty if they do not.

        A failed evaluation is told once, not for each objective.
        """
        found = [f'evaluation failed: {failure}'] if failure else []
        if not failure:
            found += [
                f'{o.name} has no value' for o in self.objectives if not math.isfinite(values.get(o.name, math.nan))
            ]
        found += [
            b.describe(values[b.name]) for b in self.bounds if b.name in values and b.violation(values[b.name]) > 0
        ]
        return tuple(found)

    def minimised(self, candidate: Candidate) -> list[float]:
        """The objectives, smaller is better, finite."""
        values = [candidate.value(o.name) for o in self.objectives]
        return [BAD if v is None else o.sign * v for o, v in zip(self.objectives, values, strict=True)]

    def violation(self, candidate: Candidate) -> float:
        """0 for a feasible candidate, else by how much it misses the bounds, and very much if an objective has no
        value.
        """
        missing = BAD if any(candidate.value(o.name) is None for o in self.objectives) else 0.0
        misses = [b.violation(v) for b in self.bounds if (v := candidate.value(b.name)) is not None]
        return max([missing, *misses]) if candidate.violations else 0.0
