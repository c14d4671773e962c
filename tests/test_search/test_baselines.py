from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyctas_mm.archs import Architecture, SearchSpace
from hyctas_mm.search import ArchNSGA2
from hyctas_mm.search.baselines import RandomSearch, RegularisedEvolution, SearchAlgorithm
from hyctas_mm.search.hypervolume import Frame
from tests.test_archs.test_search_space import spaces
from tests.test_search.test_search import cost, score

SPACE = SearchSpace(layers=6)
BOTH = pytest.mark.parametrize('method', [RandomSearch, RegularisedEvolution])


def run(method: Callable[..., SearchAlgorithm], count: int, branches: int | None = 2, space: SearchSpace = SPACE, **options) -> list[Architecture]:
    search = method(space, branches, (1, 1), **options)
    found: list[Architecture] = []
    while len(found) < count and (archs := search.ask()):
        found += archs
        search.tell([[-score(a), cost(a)] for a in archs], np.zeros(len(archs)))
    return found


@BOTH
@given(spaces, st.integers(0, 2**16), st.sampled_from([1, None]))
def test_candidates_are_new_and_in_the_space(method: Callable, space: SearchSpace, seed: int, branches: int | None) -> None:
    archs = run(method, 20, branches, space, population=6, seed=seed)
    assert len({a.archid for a in archs}) == len(archs) >= min(20, space.size(branches))
    assert not any(space.violations(a) for a in archs)
    assert branches is None or {len(a.branches) for a in archs} == {branches}


@BOTH
def test_the_seed_decides(method: Callable) -> None:
    assert run(method, 40, population=10) == run(method, 40, population=10)
    assert run(method, 40, population=10) != run(method, 40, population=10, seed=1)


@pytest.mark.parametrize('branches', [1, 3, None])
def test_all_methods_begin_with_the_same_population(branches: int | None) -> None:
    searches = [method(SPACE, branches, (1, 1), population=8, seed=5) for method in (ArchNSGA2, RandomSearch, RegularisedEvolution)]
    first = [search.ask() for search in searches]
    assert first[0] == first[1] == first[2] and len(first[0]) == 8


@BOTH
def test_refused_candidates_are_never_asked_for(method: Callable) -> None:
    archs = run(method, 40, population=8, accept=lambda a: cost(a) < 20)
    assert len(archs) >= 40 and max(map(cost, archs)) < 20


@BOTH
def test_nothing_acceptable_ends_at_once(method: Callable) -> None:
    search = method(SPACE, 1, (1, 1), population=4, accept=lambda a: False)
    assert search.ask() == [] and search.exhausted


@BOTH
def test_a_small_space_is_searched_to_its_end(method: Callable) -> None:
    space = SearchSpace(layers=4, ops=('conv', 'attention'), widths=(12,), max_branches=1)
    archs = run(method, 10**6, 1, space, population=8)
    assert len(archs) > 0.9 * space.size(1)


def test_evolution_asks_for_one_child_and_lets_the_oldest_die() -> None:
    search = RegularisedEvolution(SPACE, 2, (1, 1), population=6)
    first = search.ask()
    assert len(first) == 6
    search.tell([[-score(a), cost(a)] for a in first], np.zeros(6))
    best = max(first, key=score)
    for _ in range(6):
        (child,) = search.ask()
        search.tell([[-score(child), cost(child)]], [0.0])
    assert best not in [m.arch for m in search._members] and len(search._members) == 6


def test_parents_meet_the_bounds_where_any_does() -> None:
    search = RegularisedEvolution(SPACE, 1, (1, 1), population=6, tournament=6)
    archs = search.ask()
    search.tell([[0, 0]] * 5 + [[9, 9]], [1.0] * 5 + [0.0])
    assert search._winner().arch == archs[5]
    search = RegularisedEvolution(SPACE, 1, (1, 1), population=4, tournament=4)
    archs = search.ask()
    search.tell([[1, 4], [2, 2], [3, 3], [4, 1]], np.zeros(4))
    assert [search._winner().arch for _ in range(3)] == [archs[0]] * 3 and list(search._best_first()) == [0, 3, 1, 2]


def test_evolution_beats_random_sampling() -> None:
    frame = Frame((-80.0, 0.0), (0.0, 200.0))
    volumes = [
        [frame.volumes(np.array([[-score(a), cost(a)] for a in run(method, 400, population=20, seed=s)]))[399] for s in range(3)]
        for method in (RegularisedEvolution, RandomSearch)
    ]
    assert min(volumes[0]) > max(volumes[1])


def test_tell_without_ask() -> None:
    search = RegularisedEvolution(SPACE, 1, (1, 1), population=4)
    search.tell([[0, 0]] * 4, np.zeros(4))
    with pytest.raises(RuntimeError, match='without ask'):
        search.tell([[0, 0]], [0])
