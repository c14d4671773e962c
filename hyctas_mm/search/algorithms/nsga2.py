"""NSGA-II over architectures by ask and tell (paper Algorithm 1), pymoo inside."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pymoo.algorithms.moo.nsga2 import NSGA2 as PymooNSGA2
from pymoo.core.population import Population

from hyctas_mm.archs import Architecture
from hyctas_mm.search.algorithms.algorithm import SearchProblem, register_algorithm
from hyctas_mm.search.algorithms.problem import ArchCrossover, ArchMutation, ArchProblem, NewAndAccepted
from hyctas_mm.search.algorithms.random_search import first_population
from hyctas_mm.search.algorithms.survival import WeightedRankAndCrowding


@register_algorithm
class NSGA2:
    """A population of architectures and its evolution.

    Args:
        problem: What is searched; the population is also the number of new candidates a generation.
        crossover_prob: Probability that a pair of parents is crossed.
        mutation_prob: Probability that a gene is drawn anew.
    """

    def __init__(self, problem: SearchProblem, crossover_prob: float = 0.9, mutation_prob: float = 0.02) -> None:
        self._problem = ArchProblem(problem.space, problem.num_branches, len(problem.weights))
        first = first_population(problem)
        self._exhausted = not first
        self._asked: Population | None = None
        if self._exhausted:
            return
        self._algorithm = PymooNSGA2(
            pop_size=problem.population,
            sampling=np.array([self._problem.encode(a) for a in first]),
            crossover=ArchCrossover(crossover_prob),
            mutation=ArchMutation(mutation_prob),
            survival=WeightedRankAndCrowding(problem.weights),
            eliminate_duplicates=NewAndAccepted(self._problem, problem.accept),
        )
        endless = ('n_gen', np.iinfo(np.int32).max)
        self._algorithm.setup(self._problem, seed=problem.seed, termination=endless, verbose=False)

    def ask(self) -> list[Architecture]:
        """The next candidates to evaluate; empty when no new one can be made."""
        if self._exhausted:
            return []
        self._asked = self._algorithm.ask()
        self._exhausted = self._asked is None or len(self._asked) == 0
        return [] if self._exhausted else [self._problem.decode(x) for x in self._asked.get('X')]

    def tell(self, values: npt.ArrayLike, violations: npt.ArrayLike) -> None:
        """Reports the candidates of the last :meth:`ask`, as :class:`~hyctas_mm.search.algorithms.Algorithm` says.

        Raises:
            RuntimeError: If none were asked for.
        """
        if self._asked is None:
            raise RuntimeError('tell() without ask()')
        self._asked.set('F', np.asarray(values, dtype=float), 'G', np.asarray(violations, dtype=float)[:, None])
        for individual in self._asked:
            individual.evaluated.update(('F', 'G'))
        self._algorithm.tell(infills=self._asked)
        self._asked = None
