from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hyctas_mm.studies.correlation import MEASURES, correlate, differences, intervals


def one(x: list, y: list) -> list[float]:
    return [float(v) for v in correlate(np.array(x, dtype=float), np.array(y, dtype=float)).values()]


def test_hand_made_cases() -> None:
    assert one([1, 2, 3], [10, 20, 40]) == pytest.approx([1, 0.9820, 1], abs=1e-4)
    assert one([1, 2, 3], [3, 2, 1]) == pytest.approx([-1, -1, -1])
    # 1-2 and 1-3 agree, 2-3 is swapped: (2 - 1) / 3
    assert one([1, 2, 3], [1, 3, 2]) == pytest.approx([1 / 3, 0.5, 0.5])


def test_ties() -> None:
    # six pairs; one tied in x, one in y, four agree: 4 / sqrt(5 * 5); ranks (1, 2.5, 2.5, 4) and (1, 2, 3.5, 3.5)
    assert one([1, 2, 2, 3], [1, 2, 3, 3])[0] == pytest.approx(4 / 5)
    assert one([1, 2, 2, 3], [1, 2, 3, 3])[2] == pytest.approx(3.75 / 4.5)
    # two tied in both count neither for nor against
    assert one([1, 1, 2], [5, 5, 9])[0] == pytest.approx(1)


numbers = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=12)


@given(numbers)
def test_scipy_agrees(pairs: list[tuple[int, int]]) -> None:
    x, y = (list(map(float, column)) for column in zip(*pairs))
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert all(math.isnan(v) for v in one(x, y))
        return
    expected = [stats.kendalltau(x, y).statistic, stats.pearsonr(x, y).statistic, stats.spearmanr(x, y).statistic]
    assert one(x, y) == pytest.approx(expected, abs=1e-12)


def test_intervals() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=40)
    y = x + rng.normal(size=40)
    found = intervals(x.tolist(), y.tolist())
    assert list(found) == list(MEASURES)
    for interval in found.values():
        assert interval.low < interval.value < interval.high
    # Fisher's interval of a linear correlation
    low, high = stats.pearsonr(x, y).confidence_interval()
    assert (found['pearson_rho'].low, found['pearson_rho'].high) == pytest.approx((low, high), abs=0.08)
    assert found == intervals(x.tolist(), y.tolist())


def test_an_interval_narrows_with_the_number_of_architectures() -> None:
    rng = np.random.default_rng(0)
    widths = []
    for count in (10, 100):
        x = rng.normal(size=count)
        tau = intervals(x.tolist(), (x + rng.normal(size=count)).tolist())['kendall_tau']
        widths.append(tau.high - tau.low)
    assert widths[1] < widths[0] / 2


def test_differences_are_taken_on_the_same_draws() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=30)
    good, bad = truth + 0.2 * rng.normal(size=30), truth + 3 * rng.normal(size=30)
    better = differences(good.tolist(), bad.tolist(), truth.tolist())
    assert all(d.low > 0 for d in better.values())
    same = differences(good.tolist(), good.tolist(), truth.tolist())
    assert all((d.value, d.low, d.high) == (0, 0, 0) for d in same.values())


def test_equal_values_have_no_correlation() -> None:
    found = intervals([1, 1, 1, 1], [1, 2, 3, 4])
    assert all(math.isnan(v) for i in found.values() for v in (i.value, i.low, i.high))


@pytest.mark.parametrize(('x', 'y'), [([1, 2], [1, 2]), ([1, 2, 3], [1, 2])])
def test_too_few(x: list, y: list) -> None:
    with pytest.raises(ValueError, match='three or more'):
        intervals(x, y)
