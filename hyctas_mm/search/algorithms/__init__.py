"""What proposes the next candidates: one algorithm a file, all asked and told alike."""

from hyctas_mm.search.algorithms.algorithm import (
    ALGORITHMS,
    Algorithm,
    SearchProblem,
    build_algorithm,
    register_algorithm,
)
from hyctas_mm.search.algorithms.nsga2 import NSGA2
from hyctas_mm.search.algorithms.random_search import RandomSearch, first_population
from hyctas_mm.search.algorithms.regularised_evolution import RegularisedEvolution
from hyctas_mm.search.algorithms.surrogate import SurrogateNSGA2

__all__ = [
    'ALGORITHMS',
    'NSGA2',
    'Algorithm',
    'RandomSearch',
    'RegularisedEvolution',
    'SearchProblem',
    'SurrogateNSGA2',
    'build_algorithm',
    'first_population',
    'register_algorithm',
]
