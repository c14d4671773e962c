"""Evaluating architectures, each once, whoever asks for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from hyctas_mm.archs import Architecture
from hyctas_mm.errors import BadValue
from hyctas_mm.search import COSTS, Archive, Bound, Candidate, Objective
from hyctas_mm.search.demands import Demands

Score = Callable[[Architecture], Mapping[str, float]]


class Evaluations:
    """The evaluations that all compared searches share: the first to ask has an architecture scored, the others read the archive.

    Args:
        score: Scores an architecture: the supernet's scorer, or any other function of the architecture alone.
        costs: Prices an architecture.
        objectives: What is searched for.
        bounds: Demands; those on costs are checked before evaluation.
        archive: Where evaluations are kept.

    Raises:
        ValueError: If an objective or a bound names a cost that ``costs`` does not give; known with the first architecture.
    """

    def __init__(self, score: Score, costs: Score, objectives: Sequence[Objective], bounds: Sequence[Bound], archive: Archive) -> None:
        self._score, self._costs, self.archive = score, costs, archive
        self.objectives, self.bounds = tuple(objectives), tuple(bounds)
        self.demands = Demands(self.objectives, self.bounds)

    def __call__(self, arch: Architecture) -> Candidate:
        """The evaluated candidate; the same one each time."""
        known = self.archive.get(arch.archid)
        if known is not None:
            return known
        start = time.perf_counter()
        costs = self._price(arch)
        failure, metrics = '', {}
        try:
            metrics = dict(self._score(arch))
        except Exception as error:  # as in a search: this candidate cannot be had, the next may
            failure = str(error) or type(error).__name__
        problems = self.demands.problems({**metrics, **costs}, failure)
        seconds = round(time.perf_counter() - start, 3)  # as the archive keeps it: a candidate read back is the same
        candidate = Candidate(len(self.archive), 0, len(arch.branches), arch, metrics, costs, problems, seconds)
        self.archive.append(candidate)
        return candidate

    def accept(self, arch: Architecture) -> bool:
        """Whether an architecture meets the bounds on costs."""
        bounds = [b for b in self.bounds if b.name in COSTS]
        return not bounds or not any(b.violation(self._price(arch)[b.name]) for b in bounds)

    def _price(self, arch: Architecture) -> Mapping[str, float]:
        costs = self._costs(arch)
        wanted = {o.name for o in self.objectives} | {b.name for b in self.bounds}
        if unknown := sorted((wanted & COSTS.keys()) - costs.keys()):
            raise BadValue(f'no {", ".join(unknown)} of architectures is known here; known are {", ".join(sorted(costs))}')
        return costs
