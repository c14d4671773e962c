"""What a search algorithm is: what it is given, what it is asked and told, and how a config names it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy.typing as npt

from hyctas_mm.archs import Architecture, SearchSpace
from hyctas_mm.search.named import build_named

Accept = Callable[[Architecture], bool]


@dataclass(frozen=True)
class SearchProblem:
    """What an algorithm is given.

    Attributes:
        space: The search space.
        num_branches: Number of branches searched separately (the paper's way), or None for all numbers jointly.
        weights: One for each objective, by which it counts.
        population: Candidates of a generation.
        seed: Everything random comes from it.
        accept: Filter on what is known of an architecture before evaluation: the bounds on costs.
        known: What is known of an architecture's objectives before evaluation, smaller is better: its costs, and None
            for its scores. Empty where nothing is.
    """

    space: SearchSpace
    num_branches: int | None
    weights: tuple[float, ...]
    population: int = 40
    seed: int = 0
    accept: Accept = lambda arch: True
    known: Callable[[Architecture], Sequence[float | None]] = lambda arch: ()


class Algorithm(Protocol):
    """What proposes architectures.

    It is a function of its problem and of what it was told: a search that was killed builds it anew and tells it the
    same values again, from the archive. An algorithm of one's own is a class that takes a :class:`SearchProblem` and
    options, with :func:`register_algorithm` above it.
    """

    def ask(self) -> list[Architecture]:
        """The next candidates, any number of them, all accepted by the problem; empty when no new one can be made."""

    def tell(self, values: npt.ArrayLike, violations: npt.ArrayLike) -> None:
        """Reports the candidates of the last :meth:`ask`.

        Args:
            values: (N, objectives), smaller is better, finite.
            violations: (N,), 0 where a candidate meets every bound, else by how much it misses them.
        """


ALGORITHMS: dict[str, Callable[..., Algorithm]] = {}
"""By the name that a config gives as ``type``."""

T = TypeVar('T', bound=type)


def register_algorithm(cls: T) -> T:
    """Makes an algorithm known to configs by the name of its class.

    Example:
        >>> @register_algorithm
        ... class HillClimbing:
        ...     def __init__(self, problem, steps=1): ...
    """
    ALGORITHMS[cls.__name__] = cls
    return cls


def build_algorithm(cfg: Mapping[str, Any], problem: SearchProblem) -> Algorithm:
    """The algorithm of a config, e.g. ``dict(type='NSGA2', mutation_prob=0.05)``.

    Raises:
        ValueError: If it names none that is registered, or gives options that it does not take.
    """
    return build_named(ALGORITHMS, cfg, 'train_cfg.algorithm', problem)
