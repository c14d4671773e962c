"""A search algorithm of one's own: local search."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hyctas_mm.archs import Architecture
from hyctas_mm.search.algorithms import SearchProblem, first_population, register_algorithm
from hyctas_mm.search.front import front_indices


@register_algorithm
class LocalSearch:
    """Every generation are neighbours of the best so far.

    White et al., https://arxiv.org/abs/2005.02960, here for several objectives.

    Args:
        problem: What is searched.
        tries: Mutations drawn for a generation, before it is made smaller.
    """

    def __init__(self, problem: SearchProblem, tries: int = 1000) -> None:
        self._problem, self._tries = problem, tries
        self._rng = np.random.default_rng(problem.seed)  # all that is random comes from the seed
        self._prob = 1 / len(problem.space.bounds(problem.num_branches)[0])  # one gene on average
        self._asked = first_population(problem)
        self._seen = {arch.archid for arch in self._asked}
        self._told: list[tuple[Architecture, list[float]]] = []

    def ask(self) -> list[Architecture]:
        if self._told:
            self._asked = self._neighbours()
        return self._asked

    def tell(self, values: npt.ArrayLike, violations: npt.ArrayLike) -> None:
        rows, misses = np.asarray(values).tolist(), np.asarray(violations).tolist()
        best = min(misses, default=0.0)  # 0 as soon as one meets the bounds
        told = zip(self._asked, rows, misses, strict=True)
        self._told += [(arch, row) for arch, row, miss in told if miss == best]

    def _neighbours(self) -> list[Architecture]:
        problem = self._problem
        best = [self._told[i][0] for i in front_indices(np.array([row for _, row in self._told]))]
        found: list[Architecture] = []
        for number in range(self._tries):
            arch = best[number % len(best)]
            near = problem.space.mutate(arch, self._rng, self._prob, joint=problem.num_branches is None)
            if near.archid not in self._seen and problem.accept(near):
                self._seen.add(near.archid)
                found.append(near)
            if len(found) == problem.population:
                break
        return found
