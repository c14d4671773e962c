"""Random search, and the random population that every algorithm begins with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hyctas_mm.archs import Architecture
from hyctas_mm.archs.extremes import shrunk
from hyctas_mm.search.algorithms.algorithm import SearchProblem, register_algorithm

TRIES_PER_CANDIDATE = 100
ENOUGH = 0.25
"""Where fewer than this part of the random architectures are accepted, the next ones are made smaller by ``STEP``."""
STEP = 0.1


def first_population(problem: SearchProblem) -> list[Architecture]:
    """The accepted random architectures that every algorithm begins with, so that comparisons begin alike.

    Fewer than the population, perhaps none, where few are accepted.
    """
    return RandomSearch(problem).ask()


@register_algorithm
class RandomSearch:
    """Draws from the prior (paper section 3.4) and learns nothing; never the same architecture twice.

    NOTE(paper): it samples uniformly. Bounds on costs can leave out so much of a space that random sampling never meets
    them, so where few are accepted the next ones are made smaller.

    Args:
        problem: What is searched.
    """

    def __init__(self, problem: SearchProblem) -> None:
        self._problem = problem
        self._rng = np.random.default_rng([problem.seed, problem.num_branches or 0])
        self._seen: set[str] = set()
        self._share = 0.0  # of a drawn architecture that is left out
        self._tried = self._accepted = 0

    def ask(self) -> list[Architecture]:
        """A population of new architectures; fewer where so many tries bring no more."""
        found: list[Architecture] = []
        for _ in range(self._problem.population * TRIES_PER_CANDIDATE):
            arch = self._draw()
            if arch is not None:
                found.append(arch)
                if len(found) == self._problem.population:
                    break
        return found

    def tell(self, values: npt.ArrayLike, violations: npt.ArrayLike) -> None:
        """Nothing is learnt."""

    def _draw(self) -> Architecture | None:
        """A new architecture, None if what was drawn is refused or not new."""
        problem = self._problem
        if self._tried == problem.population:
            few = self._accepted < ENOUGH * problem.population
            self._share = min(0.95, self._share + STEP) if few else max(0.0, self._share - STEP)
            self._tried = self._accepted = 0
        self._tried += 1
        arch = problem.space.sample(self._rng, problem.num_branches)
        if self._share:
            arch = shrunk(problem.space, arch, self._share, self._rng)
        new = arch.archid not in self._seen
        if new and not problem.accept(arch):
            return None
        self._accepted += 1
        self._seen.add(arch.archid)
        return arch if new else None
