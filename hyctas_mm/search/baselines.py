"""What NSGA-II is compared with: random search and regularised evolution, asked and told like :class:`~hyctas_mm.search.ArchNSGA2`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from hyctas_mm.archs import Architecture, SearchSpace
from hyctas_mm.search.problem import Accept
from hyctas_mm.search.survival import weighted_crowding_distance

TRIES_PER_CANDIDATE = 100
MUTATIONS_PER_CHILD = 1000


class SearchAlgorithm(Protocol):
    """What every search algorithm here is.

    Attributes:
        exhausted: Whether no new candidate can be made.
    """

    exhausted: bool

    def ask(self) -> list[Architecture]:
        """The next candidates to evaluate; empty when no new one can be made."""

    def tell(self, values: npt.ArrayLike, violations: npt.ArrayLike) -> None:
        """Reports the candidates of the last ask: (N, objectives), smaller is better, and (N,), 0 where all bounds are met."""


class RandomSearch:
    """Draws from the prior (paper section 3.4) and learns nothing; never the same architecture twice.

    With the same seed its first candidates are NSGA-II's first population.

    Args:
        space: The search space.
        num_branches: Searched separately, or None for all numbers jointly.
        weights: Not used; one per objective, as every algorithm is given.
        population: Candidates of one :meth:`ask`.
        seed: Seed.
        accept: Filter on what is known of an architecture before evaluation.
    """

    def __init__(
        self,
        space: SearchSpace,
        num_branches: int | None,
        weights: Sequence[float],
        population: int = 40,
        seed: int = 0,
        accept: Accept = lambda arch: True,
    ) -> None:
        self._space, self._num_branches, self._population, self._accept = space, num_branches, population, accept
        self._rng = np.random.default_rng([seed, num_branches or 0])
        self._seen: set[str] = set()
        self.exhausted = False

    def ask(self) -> list[Architecture]:
        found: list[Architecture] = []
        for _ in range(self._population * TRIES_PER_CANDIDATE):
            arch = self._space.sample(self._rng, self._num_branches)
            if arch.archid not in self._seen and self._accept(arch):
                self._seen.add(arch.archid)
                found.append(arch)
                if len(found) == self._population:
                    break
        self.exhausted = not found
        return found

    def tell(self, values: npt.ArrayLike, violations: npt.ArrayLike) -> None:
        """Nothing is learnt."""


class _Member(NamedTuple):
    arch: Architecture
    values: npt.NDArray[np.float64]
    violation: float


class RegularisedEvolution:
    """Ageing evolution (Real et al., https://arxiv.org/abs/1802.01548) for several objectives.

    Each step a few members of the population are drawn, the best of them is mutated, and the oldest member dies. The original compares one
    number; here members are compared as NSGA-II does: by how much they miss the bounds, then by rank, then by crowding distance.

    Args:
        space: The search space.
        num_branches: Searched separately, or None for all numbers jointly.
        weights: Weight of each objective in the crowding distance.
        population: Members alive.
        seed: Seed. The first population is NSGA-II's of the same seed.
        accept: Filter on what is known of an architecture before evaluation.
        mutation_prob: Probability that a gene is drawn anew; by default so that it is one gene on average: the original changes one thing.
        tournament: Members drawn to choose a parent from; a quarter of the population by default, as in the paper.
    """

    def __init__(
        self,
        space: SearchSpace,
        num_branches: int | None,
        weights: Sequence[float],
        population: int = 40,
        seed: int = 0,
        accept: Accept = lambda arch: True,
        mutation_prob: float | None = None,
        tournament: int | None = None,
    ) -> None:
        self._space, self._num_branches, self._accept = space, num_branches, accept
        self._prob = mutation_prob or 1 / len(space.bounds(num_branches)[0])
        self._weights = tuple(weights)
        self._tournament = tournament or max(2, population // 4)
        self._members: deque[_Member] = deque(maxlen=population)
        self._rng = np.random.default_rng([seed, num_branches or 0])
        self._asked = RandomSearch(space, num_branches, weights, population, seed, accept).ask()
        self._seen = {arch.archid for arch in self._asked}
        self.exhausted = not self._asked

    def ask(self) -> list[Architecture]:
        if self._members:
            child = self._child()
            self._asked = [] if child is None else [child]
            self.exhausted = child is None
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
        arch = self._winner().arch
        for _ in range(MUTATIONS_PER_CHILD):
            mutated = self._space.mutate(arch, self._rng, self._prob, joint=self._num_branches is None)
            if not self._accept(mutated):
                continue
            arch = mutated
            if arch.archid not in self._seen:
                self._seen.add(arch.archid)
                return arch
        return None

    def _winner(self) -> _Member:
        count = min(self._tournament, len(self._members))
        drawn = set(self._rng.choice(len(self._members), size=count, replace=False).tolist())
        return self._members[next(index for index in self._best_first() if index in drawn)]

    def _best_first(self) -> Iterator[int]:
        violations = np.array([member.violation for member in self._members])
        values = np.array([member.values for member in self._members])
        for violation in np.unique(violations):
            equal = np.flatnonzero(violations == violation)
            for front in NonDominatedSorting().do(values[equal]):
                members = equal[front]
                yield from members[np.argsort(-weighted_crowding_distance(values[members], self._weights), kind='stable')].tolist()
