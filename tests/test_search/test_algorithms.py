"""What every algorithm keeps, and what regularised evolution does."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyctas_mm.archs import Architecture, SearchSpace
from hyctas_mm.search.algorithms import (
    NSGA2,
    Algorithm,
    RandomSearch,
    RegularisedEvolution,
    SearchProblem,
    SurrogateNSGA2,
    build_algorithm,
)
from hyctas_mm.search.algorithms.survival import best_first
from hyctas_mm.search.demands import BAD
from hyctas_mm.search.hypervolume import Frame
from tests.test_archs.test_search_space import spaces
from tests.test_search.test_search import cost, score

SPACE = SearchSpace(layers=6)
Surrogate = functools.partial(SurrogateNSGA2, pool=60, rounds=2)
ALL = pytest.mark.parametrize('method', [NSGA2, RandomSearch, RegularisedEvolution, Surrogate])
NEVER_TWICE = pytest.mark.parametrize('method', [RandomSearch, RegularisedEvolution, Surrogate])


def problem(branches: int | None = 2, space: SearchSpace = SPACE, **options) -> SearchProblem:
    return SearchProblem(space, branches, (1, 1), **options)


def run(
    method: Callable[..., Algorithm], count: int, branches: int | None = 2, space: SearchSpace = SPACE, **options
) -> list[Architecture]:
    search = method(problem(branches, space, **options))
    found: list[Architecture] = []
    while len(found) < count and (archs := search.ask()):
        found += archs
        search.tell([[-score(a), cost(a)] for a in archs], np.zeros(len(archs)))
    return found


@NEVER_TWICE
@settings(max_examples=12)
@given(spaces, st.integers(0, 2**16), st.sampled_from([1, None]))
def test_candidates_are_new_and_in_the_space(
    method: Callable, space: SearchSpace, seed: int, branches: int | None
) -> None:
    archs = run(method, 20, branches, space, population=6, seed=seed)
    # mutations miss some of a dozen
    assert len({a.archid for a in archs}) == len(archs) >= min(20, space.size(branches) // 2)
    assert not any(space.violations(a) for a in archs)
    assert branches is None or {len(a.branches) for a in archs} == {branches}


@ALL
def test_the_seed_decides(method: Callable) -> None:
    assert run(method, 40, population=10) == run(method, 40, population=10)
    assert run(method, 40, population=10) != run(method, 40, population=10, seed=1)


def few_meet(branches: int | None, share: float) -> float:
    """The cost that this share of random architectures is below."""
    rng = np.random.default_rng(1)
    return float(np.quantile([cost(SPACE.sample(rng, branches)) for _ in range(2000)], share))


@pytest.mark.parametrize(
    ('branches', 'share'), [(1, 1.0), (3, 1.0), (None, 1.0), (1, 0.02), (2, 0.002), (3, 0.002), (None, 0.02)]
)
def test_all_begin_with_the_same_population_which_tight_bounds_make_smaller(branches: int | None, share: float) -> None:
    bound = few_meet(branches, share) if share < 1 else np.inf
    first = []
    for method in (NSGA2, RandomSearch, RegularisedEvolution, Surrogate):
        tried: list[Architecture] = []

        def accept(arch: Architecture, tried: list[Architecture] = tried) -> bool:
            tried.append(arch)
            return cost(arch) < bound

        first.append(method(problem(branches, population=10, seed=5, accept=accept)).ask())
        assert len(tried) < 10 / share / 3 or share == 1, 'random sampling would need 10 / share'
    assert first[0] == first[1] == first[2] and len({a.archid for a in first[0]}) == 10
    assert all(cost(a) < bound for a in first[0])


def test_random_search_goes_on_as_small_as_the_bounds_want_it() -> None:
    bound = few_meet(2, 0.002)
    archs = run(RandomSearch, 60, population=10, accept=lambda a: cost(a) < bound)
    assert len(archs) == 60 and max(map(cost, archs)) < bound


@ALL
def test_refused_candidates_are_never_asked_for(method: Callable) -> None:
    archs = run(method, 40, population=8, accept=lambda a: cost(a) < 20)
    assert len(archs) >= 40 and max(map(cost, archs)) < 20


@ALL
def test_nothing_acceptable_ends_at_once(method: Callable) -> None:
    search = method(problem(1, population=4, accept=lambda a: False))
    assert search.ask() == [] == search.ask()


@NEVER_TWICE
def test_a_small_space_is_searched_to_its_end(method: Callable) -> None:
    space = SearchSpace(layers=4, ops=('conv', 'attention'), widths=(12,), max_branches=1)
    archs = run(method, 10**6, 1, space, population=8)
    assert len(archs) > 0.9 * space.size(1)


def test_evolution_asks_for_one_child_and_lets_the_oldest_die() -> None:
    search = RegularisedEvolution(problem(population=6))
    first = search.ask()
    assert len(first) == 6
    search.tell([[-score(a), cost(a)] for a in first], np.zeros(6))
    best = max(first, key=score)
    for _ in range(6):
        (child,) = search.ask()
        search.tell([[-score(child), cost(child)]], [0.0])
    assert best not in [m.arch for m in search._members] and len(search._members) == 6


def test_parents_meet_the_bounds_where_any_does() -> None:
    search = RegularisedEvolution(problem(1, population=6), tournament=6)
    archs = search.ask()
    search.tell([[0, 0]] * 5 + [[9, 9]], [1.0] * 5 + [0.0])
    assert search._winner().arch == archs[5]
    search = RegularisedEvolution(problem(1, population=4), tournament=4)
    archs = search.ask()
    search.tell([[1, 4], [2, 2], [3, 3], [4, 1]], np.zeros(4))
    assert [search._winner().arch for _ in range(3)] == [archs[0]] * 3
    assert list(best_first(np.array([[1, 4], [2, 2], [3, 3], [4, 1.0]]), np.zeros(4), (1, 1))) == [0, 3, 1, 2]


def test_evolution_beats_random_sampling() -> None:
    frame = Frame((-80.0, 0.0), (0.0, 200.0))
    volumes = [
        [
            frame.volumes(np.array([[-score(a), cost(a)] for a in run(method, 400, population=20, seed=s)]))[399]
            for s in range(3)
        ]
        for method in (RegularisedEvolution, RandomSearch)
    ]
    assert min(volumes[0]) > max(volumes[1])


def test_predictions_save_evaluations() -> None:
    """Of a score that depends on what an architecture is made of, with known costs."""
    frame = Frame((-80.0, 0.0), (0.0, 200.0))
    known = dict(known=lambda arch: (None, cost(arch)))
    volumes = [
        [
            frame.volumes(np.array([[-score(a), cost(a)] for a in run(method, 60, population=12, seed=s, **known)]))[-1]
            for s in range(3)
        ]
        for method in (functools.partial(SurrogateNSGA2, pool=80, rounds=4), NSGA2)
    ]
    assert np.mean(volumes[0]) > 1.02 * np.mean(volumes[1])


def test_failed_candidates_are_not_learnt_from() -> None:
    search = Surrogate(problem(1, population=8))
    first = search.ask()
    values = [[-score(a), cost(a)] for a in first]
    search.tell([[BAD, v[1]] if n % 2 else v for n, v in enumerate(values)], [1e9 * (n % 2) for n in range(8)])
    assert {a.archid for a in search.ask()}.isdisjoint(a.archid for a in first)
    alone = Surrogate(problem(1, population=8))
    alone.ask()
    alone.tell([[BAD, BAD]] * 8, [1e9] * 8)
    assert len(alone.ask()) == 8


@pytest.mark.parametrize('method', [NSGA2, RegularisedEvolution, Surrogate])
def test_tell_without_ask(method: Callable) -> None:
    search = method(problem(1, population=4))
    search.tell([[0, 0]] * len(search.ask()), np.zeros(4))
    with pytest.raises(RuntimeError, match='without ask'):
        search.tell([[0, 0]], [0])


def test_algorithms_of_a_config() -> None:
    found = build_algorithm(dict(type='RegularisedEvolution', tournament=3), problem(1, population=4))
    assert isinstance(found, RegularisedEvolution) and found._tournament == 3
    with pytest.raises(
        ValueError, match=r"type='Annealing'; expected one of NSGA2, RandomSearch, RegularisedEvolution, SurrogateNSGA2"
    ):
        build_algorithm(dict(type='Annealing'), problem())
    with pytest.raises(ValueError, match="NSGA2: got an unexpected keyword argument 'mutation'"):
        build_algorithm(dict(type='NSGA2', mutation=0.1), problem())
