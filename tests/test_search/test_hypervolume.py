from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyctas_mm.search.hypervolume import Frame, band
from tests.front_reference import hypervolume


def grid(columns: int) -> st.SearchStrategy[np.ndarray]:
    return st.lists(st.tuples(*[st.integers(0, 6)] * columns), min_size=1, max_size=12).map(
        lambda p: np.array(p, dtype=float)
    )


def brute_force(points: np.ndarray, side: int) -> float:
    """Share of unit cells of a side**d box that any point dominates."""
    cells = np.array(list(itertools.product(range(side), repeat=points.shape[1])))
    return float((points[None] <= cells[:, None]).all(-1).any(-1).mean())


@given(grid(2))
def test_two_objectives_against_counted_cells(points: np.ndarray) -> None:
    volumes = Frame((0.0, 0.0), (5.0, 5.0)).volumes(points)
    np.testing.assert_allclose(volumes, [brute_force(points[: n + 1], 5) for n in range(len(points))])
    assert volumes[-1] * 25 == pytest.approx(hypervolume(points, (5, 5)))


@given(grid(3))
def test_three_objectives_against_counted_cells(points: np.ndarray) -> None:
    volumes = Frame((0.0,) * 3, (4.0,) * 3).volumes(points)
    np.testing.assert_allclose(volumes, [brute_force(points[: n + 1], 4) for n in range(len(points))])


@given(grid(2))
def test_the_order_decides_the_way_and_not_the_end(points: np.ndarray) -> None:
    frame = Frame((0.0, 0.0), (7.0, 7.0))
    forward, backward = frame.volumes(points), frame.volumes(points[::-1])
    assert (np.diff(forward) >= 0).all() and forward[-1] == pytest.approx(backward[-1])


def test_scales_and_offsets_do_not_count() -> None:
    points = np.array([[1, 3], [2, 1], [3, 3]], dtype=float)
    moved = points * [10, 0.1] - [7, 3]
    np.testing.assert_allclose(Frame((0, 0), (4, 4)).volumes(points), Frame((-7, -3), (33, -2.6)).volumes(moved))


def test_what_is_infeasible_or_beyond_adds_nothing() -> None:
    points = np.array([[np.inf, np.inf], [0.5, 0.5], [2, 0.1], [1, 0]])
    np.testing.assert_allclose(Frame((0, 0), (1, 1)).volumes(points), [0, 0.25, 0.25, 0.25])


def test_frames() -> None:
    frame = Frame.around(np.array([[1.0, 5.0], [3.0, 5.0]]))
    assert frame == Frame((1.0, 5.0), (3.0, 6.0))
    with pytest.raises(ValueError, match='the reference must be larger'):
        Frame((0, 1), (1, 1))
    with pytest.raises(ValueError, match='no feasible candidate'):
        Frame.around(np.empty((0, 2)))


def test_a_band() -> None:
    found = band([np.array([0.0, 0.5]), np.array([0.2, 0.4, 0.8])])
    np.testing.assert_allclose([found.mean, found.low, found.high], [[0.1, 0.45, 0.65], [0, 0.4, 0.5], [0.2, 0.5, 0.8]])
    with pytest.raises(ValueError, match='evaluated nothing'):
        band([np.array([])])
