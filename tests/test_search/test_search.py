from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymoo.operators.survival.rank_and_crowding.metrics import calc_crowding_distance

from hyctas_mm.archs import Architecture, SearchSpace
from hyctas_mm.search import read_bounds, read_objectives
from hyctas_mm.search.algorithms import NSGA2, SearchProblem
from hyctas_mm.search.algorithms.survival import weighted_crowding_distance
from hyctas_mm.search.front import choose, front_indices
from tests.front_reference import hypervolume, non_dominated

SPACE = SearchSpace(layers=6)


def cost(arch: Architecture) -> float:
    return float(sum(c.cell.width * {'conv': 9, 'lite_conv': 3}.get(c.cell.op, 5) / c.stride_out for c in arch.cells))


def score(arch: Architecture) -> float:
    return float(sum({'attention': 3, 'conv': 2}.get(c.cell.op, 1.5) * c.cell.width**0.5 for c in arch.cells))


def evolve(
    generations: int = 8, branches: int | None = 2, accept: Callable = lambda a: True, seed: int = 0
) -> list[list[Architecture]]:
    search = NSGA2(SearchProblem(SPACE, branches, (1, 1), population=10, seed=seed, accept=accept))
    history = []
    for _ in range(generations):
        archs = search.ask()
        if not archs:
            break
        history.append(archs)
        search.tell([[-score(a), cost(a)] for a in archs], np.zeros(len(archs)))
    return history


def test_the_same_seed_gives_the_same_candidates() -> None:
    assert evolve() == evolve()
    assert evolve() != evolve(seed=1)


@pytest.mark.parametrize('branches', [1, 2, 3, None])
def test_every_candidate_is_in_the_space_and_new(branches: int | None) -> None:
    generations = evolve(branches=branches)
    archs = [a for generation in generations for a in generation]
    assert all(len({a.archid for a in generation}) == 10 for generation in generations)
    assert all(not SPACE.violations(a) for a in archs)
    assert branches is None or {len(a.branches) for a in archs} == {branches}


def test_evolution_beats_random_sampling() -> None:
    rng = np.random.default_rng(0)
    random = [SPACE.sample(rng, 2) for _ in range(400)]
    evolved = [a for generation in evolve(40) for a in generation]
    corner = (0.0, 200.0)
    volumes = [hypervolume(np.array([[-score(a), cost(a)] for a in archs]), corner) for archs in (evolved, random)]
    assert volumes[0] > 1.1 * volumes[1]


def test_violations_rank_last() -> None:
    search = NSGA2(SearchProblem(SPACE, 1, (1, 1), population=10))
    for _ in range(12):
        archs = search.ask()
        search.tell([[-score(a), cost(a)] for a in archs], [max(0.0, cost(a) - 8) for a in archs])
    survivors = [search._problem.decode(x) for x in search._algorithm.pop.get('X')]
    assert sum(cost(a) <= 8 for a in survivors) >= 9


points = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=30).map(
    lambda p: np.array(p, dtype=float)
)


@given(points)
def test_front_is_what_nothing_dominates(values: np.ndarray) -> None:
    indices = front_indices(values)
    for i, point in enumerate(values):
        beaten = any((o <= point).all() and (o < point).any() for o in values)
        assert beaten or any((values[j] == point).all() for j in indices)
        assert not (beaten and i in indices)
    assert sorted(map(tuple, values[indices])) == sorted(map(tuple, non_dominated(values)))


@given(points, st.integers(1, 6))
def test_the_best_is_chosen_and_then_what_adds_most(values: np.ndarray, count: int) -> None:
    values = values[front_indices(values)] + [-40, 1]  # a score and a positive cost
    chosen = choose(values, 0, count)
    assert len(chosen) == len(set(chosen)) == min(count, len(values))
    assert values[chosen[0], 0] == values[:, 0].min()
    assert chosen == choose(values, 0, len(values))[:count], 'more are the same ones and others'


def test_what_comes_next_to_nothing_is_not_chosen() -> None:
    """The front of a search of IDD-Lite: the fastest network is far worse than one that is little slower."""
    miou = [14.25, 15.47, 17.69, 30.92, 31.53, 33.32, 33.52, 35.3, 35.44, 38.39, 38.76, 38.78]
    latency = [5.8, 5.9, 5.95, 7.4, 8.2, 14.6, 14.7, 22.5, 23.4, 24.8, 28.7, 35.1]
    values = np.column_stack([-np.array(miou), latency])
    assert sorted(choose(values, 0, 4)) == [3, 6, 9, 11]
    assert choose(values, 0, 1) == [11]


def test_crowding_with_equal_weights_is_nsga2s() -> None:
    values = np.random.default_rng(0).random((12, 2))
    np.testing.assert_allclose(weighted_crowding_distance(values, (1, 1)), calc_crowding_distance(values))


def test_weights_favour_their_objective() -> None:
    values = np.array([[0, 4], [1, 3.9], [2, 1], [3, 0.9], [4, 0]], dtype=float)
    first, second = (weighted_crowding_distance(values, w) for w in ((1, 0), (0, 1)))
    np.testing.assert_allclose(first[1:-1], 0.25)
    np.testing.assert_allclose(second[1:-1], [0.375, 0.375, 0.125])
    np.testing.assert_allclose(weighted_crowding_distance(values, (3, 1))[1:-1], 3 * first[1:-1] + second[1:-1])


def test_objectives_and_bounds_of_a_config() -> None:
    miou, latency = read_objectives(['mIoU', dict(name='latency_ms', weight=2)])
    assert (miou.direction, miou.sign, latency.direction, latency.weight, latency.unit) == ('max', -1, 'min', 2, 'ms')
    assert read_objectives([dict(name='boundary', direction='max'), 'macs_g'])[0].unit == ''
    for wrong in (['mIoU'], ['mIoU', 'mIoU'], ['mIoU', 'speed'], ['mIoU', dict(name='macs_g', direction='up')]):
        with pytest.raises(ValueError):
            read_objectives(wrong)
    (bound,) = read_bounds(dict(latency_ms=dict(max=20)))
    assert bound.violation(25) == 5 and bound.violation(20) == 0 and bound.violation(float('nan')) == float('inf')
    assert bound.describe(25) == 'latency_ms 25; demanded at most 20'
    with pytest.raises(ValueError, match="'min', 'max'"):
        read_bounds(dict(mIoU=dict(above=3)))
    with pytest.raises(ValueError, match="latency_ms={'max': '20'}; expected"):
        read_bounds(dict(latency_ms=dict(max='20')))
