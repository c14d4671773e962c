"""NSGA-II over architectures by ask and tell (paper Algorithm 1), pymoo inside."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.population import Population

from hyctas_mm.archs import Architecture, SearchSpace
from hyctas_mm.archs.extremes import shrunk
from hyctas_mm.search.problem import Accept, ArchCrossover, ArchMutation, ArchProblem, NewAndAccepted
from hyctas_mm.search.survival import WeightedRankAndCrowding

TRIES_PER_CANDIDATE = 100
ENOUGH = 0.25
"""Where fewer than this part of the random architectures are accepted, the next ones are made smaller, by ``STEP``, else larger again."""
STEP = 0.1


class ArchNSGA2:
    """A population of architectures and its evolution.

    Everything random comes from ``seed``, and nothing else but the told values decides: telling the same values again, e.g. from an
    archive, leads to the same state.

    Args:
        space: The search space.
        num_branches: Searched separately (the paper's way), or None for all numbers jointly.
        weights: Weight of each objective in the crowding distance.
        population: Population size; also the number of new candidates a generation.
        seed: Seed.
        accept: Filter on what is known of an architecture before evaluation, e.g. its latency.
        crossover_prob: Probability that a pair of parents is crossed.
        mutation_prob: Probability that a gene is drawn anew.
    """

    def __init__(
        self,
        space: SearchSpace,
        num_branches: int | None,
        weights: Sequence[float],
        population: int = 40,
        seed: int = 0,
        accept: Accept = lambda arch: True,
        crossover_prob: float = 0.9,
        mutation_prob: float = 0.02,
    ) -> None:
        self._problem = ArchProblem(space, num_branches, len(weights))
        first = self._first_population(space, num_branches, population, seed, accept)
        self.exhausted = len(first) == 0
        if self.exhausted:
            return
        self._algorithm = NSGA2(
            pop_size=population,
            sampling=np.array([self._problem.encode(a) for a in first]),
            crossover=ArchCrossover(crossover_prob),
            mutation=ArchMutation(mutation_prob),
            survival=WeightedRankAndCrowding(weights),
            eliminate_duplicates=NewAndAccepted(self._problem, accept),
        )
        self._algorithm.setup(self._problem, seed=seed, termination=('n_gen', np.iinfo(np.int32).max), verbose=False)
        self._asked: Population | None = None

    @staticmethod
    def _first_population(space: SearchSpace, num_branches: int | None, population: int, seed: int, accept: Accept) -> list[Architecture]:
        """Accepted random architectures, all different; fewer than asked for, perhaps none, where few are accepted.

        NOTE(paper): it samples uniformly. Bounds on costs can leave out so much of a space that random sampling never meets them, so where few are
        accepted the next ones are made smaller.
        """
        rng = np.random.default_rng([seed, num_branches or 0])
        found: dict[str, Architecture] = {}
        share, accepted = 0.0, 0
        for tried in range(1, population * TRIES_PER_CANDIDATE + 1):
            arch = space.sample(rng, num_branches)
            if share:
                arch = shrunk(space, arch, share, rng)
            if arch.archid in found:
                accepted += 1
            elif accept(arch):
                accepted += 1
                found[arch.archid] = arch
                if len(found) == population:
                    break
            if tried % population == 0:
                share = min(0.95, share + STEP) if accepted < ENOUGH * population else max(0.0, share - STEP)
                accepted = 0
        return list(found.values())

    def ask(self) -> list[Architecture]:
        """The next candidates to evaluate; empty when no new one can be made."""
        if self.exhausted:
            return []
        self._asked = self._algorithm.ask()
        self.exhausted = self._asked is None or len(self._asked) == 0
        return [] if self.exhausted else [self._problem.decode(x) for x in self._asked.get('X')]

    def tell(self, values: npt.ArrayLike, violations: npt.ArrayLike) -> None:
        """Reports the candidates of the last :meth:`ask`.

        Args:
            values: (N, objectives), smaller is better, finite.
            violations: (N,), 0 where a candidate meets every bound, else by how much it misses them.
        """
        if self._asked is None:
            raise RuntimeError('tell() without ask()')
        self._asked.set('F', np.asarray(values, dtype=float), 'G', np.asarray(violations, dtype=float)[:, None])
        for individual in self._asked:
            individual.evaluated.update(('F', 'G'))
        self._algorithm.tell(infills=self._asked)
        self._asked = None
