"""Regularised (ageing) evolution by ask and tell."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hyctas_mm.archs import Architecture
from hyctas_mm.search.algorithms.algorithm import SearchProblem, register_algorithm
from hyctas_mm.search.algorithms.random_search import first_population
from hyctas_mm.search.algorithms.survival import best_first

MUTATIONS_PER_CHILD = 1000


class _Member(NamedTuple):
    arch: Architecture
    values: npt.NDArray[np.float64]
    violation: float


@register_algorithm
class RegularisedEvolution:
    """Ageing evolution (Real et al., https://arxiv.org/abs/1802.01548) for several objectives.

    Each step a few members of the population are drawn, the best of them is mutated, and the oldest member dies. The
    original compares one number; here members are compared as NSGA-II does: by how much they miss the bounds, then by
    rank, then by crowding distance.

    Args:
        problem: What is searched; the population are the members alive.
        mutation_prob: Probability that a gene is drawn anew; by default so that it is one gene on average: the original
            changes one thing.
        tournament: Members drawn to choose a parent from; a quarter of the population by default, as in the paper.
    """

    def __init__(
        self, problem: SearchProblem, mutation_prob: float | None = None, tournament: int | None = None
    ) -> None:
        self._problem = problem
        self._prob = mutation_prob or 1 / len(problem.space.bounds(problem.num_branches)[0])
        self._tournament = tournament or max(2, problem.population // 4)
        self._members: deque[_Member] = deque(maxlen=problem.population)
        self._rng = np.random.default_rng([problem.seed, problem.num_branches or 0])
        self._asked = first_population(problem)
        self._seen = {arch.archid for arch in self._asked}

    def ask(self) -> list[Architecture]:
        if self._members:
            child = self._child()
            self._asked = [] if child is None else [child]
        return list(self._asked)

    def tell(self, values: npt.ArrayLike, violations: npt.ArrayLike) -> None:
        """Lets the candidates of the last :meth:`ask` join the population; as many of the oldest die.

        Raises:
            RuntimeError: If none were asked for.
        """
        if not self._asked:
            raise RuntimeError('tell() without ask()')
        rows = np.asarray(values, dtype=np.float64)
        for arch, row, violation in zip(self._asked, rows, np.asarray(violations, dtype=np.float64), strict=True):
            self._members.append(_Member(arch, row, float(violation)))
        self._asked = []

    def _child(self) -> Architecture | None:
        """A new architecture near the tournament's winner: mutated until it is one that was never asked for."""
        problem, arch = self._problem, self._winner().arch
        for _ in range(MUTATIONS_PER_CHILD):
            mutated = problem.space.mutate(arch, self._rng, self._prob, joint=problem.num_branches is None)
            if not problem.accept(mutated):
                continue
            arch = mutated
            if arch.archid not in self._seen:
                self._seen.add(arch.archid)
                return arch
        return None

    def _winner(self) -> _Member:
        count = min(self._tournament, len(self._members))
        drawn = set(self._rng.choice(len(self._members), size=count, replace=False).tolist())
        values = np.array([member.values for member in self._members])
        violations = np.array([member.violation for member in self._members])
        ranked = best_first(values, violations, self._problem.weights)
        return self._members[next(index for index in ranked if index in drawn)]
