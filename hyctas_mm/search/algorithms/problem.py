"""The search space as pymoo sees it: whole-number genes, operators that stay in the space, and the filter on costs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pymoo.core.crossover import Crossover
from pymoo.core.duplicate import DefaultDuplicateElimination
from pymoo.core.mutation import Mutation
from pymoo.core.problem import Problem

from hyctas_mm.archs import Architecture, SearchSpace
from hyctas_mm.search.algorithms.algorithm import Accept

Genes = npt.NDArray[np.int64]


class ArchProblem(Problem):
    """Genes of one layout of a search space.

    Args:
        space: The search space.
        num_branches: The layout; None for all numbers of branches jointly.
        num_objectives: Number of objectives.
    """

    def __init__(self, space: SearchSpace, num_branches: int | None, num_objectives: int) -> None:
        lower, upper = space.bounds(num_branches)
        super().__init__(n_var=len(lower), n_obj=num_objectives, n_ieq_constr=1, xl=lower, xu=upper, vtype=int)
        self.space, self.num_branches = space, num_branches

    def decode(self, genes: Genes) -> Architecture:
        """The architecture of a gene vector."""
        return self.space.decode(genes, self.num_branches)

    def encode(self, arch: Architecture) -> Genes:
        """The genes of an architecture; equal architectures have equal genes."""
        return self.space.encode(arch, self.num_branches)


class ArchCrossover(Crossover):
    """Crossover of the search space, with the paper's probability of 0.9."""

    def __init__(self, prob: float = 0.9) -> None:
        super().__init__(n_parents=2, n_offsprings=2, prob=prob)

    def _do(self, problem: ArchProblem, X: Any, *args: Any, random_state: np.random.Generator, **kwargs: Any) -> Any:
        children = np.empty_like(X)
        for pair in range(X.shape[1]):
            a, b = (problem.decode(X[parent, pair]) for parent in range(2))
            children[:, pair] = [problem.encode(c) for c in problem.space.crossover(a, b, random_state)]
        return children


class ArchMutation(Mutation):
    """Mutation of the search space.

    NOTE(paper): it gives a probability of 0.02 and does not say of what; here each gene is drawn anew with it.
    """

    def __init__(self, prob: float = 0.02) -> None:
        super().__init__(prob=1.0)
        self.gene_prob = prob

    def _do(self, problem: ArchProblem, X: Any, *args: Any, random_state: np.random.Generator, **kwargs: Any) -> Any:
        joint = problem.num_branches is None
        return np.array(
            [
                problem.encode(problem.space.mutate(problem.decode(x), random_state, self.gene_prob, joint=joint))
                for x in X
            ]
        )


class NewAndAccepted(DefaultDuplicateElimination):
    """Drops children that the population already has or that a filter refuses; mating goes on until enough are left.

    This is the paper's "if Latency(q) > Latency(S_max): continue" (Algorithm 1).
    """

    def __init__(self, problem: ArchProblem, accept: Accept) -> None:
        super().__init__()
        self.problem, self.accept = problem, accept

    def do(self, pop: Any, *args: Any, **kwargs: Any) -> Any:
        pop = super().do(pop, *args, **kwargs)
        return pop[[self.accept(self.problem.decode(x)) for x in pop.get('X')]] if len(pop) else pop
