from __future__ import annotations

import math

import numpy as np
import pytest

from hyctas_mm.archs import SearchSpace
from hyctas_mm.search import Candidate, read_bounds, read_objectives
from hyctas_mm.search.demands import BAD, Demands

DEMANDS = Demands(read_objectives(['mIoU', 'macs_g']), read_bounds(dict(mIoU=dict(min=30))))
ARCH = SearchSpace(layers=4).sample(np.random.default_rng(0))


def candidate(**metrics: float) -> Candidate:
    return Candidate(0, 0, 1, ARCH, metrics, dict(macs_g=2.0), DEMANDS.problems(metrics | dict(macs_g=2.0)))


def test_a_feasible_candidate() -> None:
    good = candidate(mIoU=31.0)
    assert good.violations == () and DEMANDS.minimised(good) == [-31.0, 2.0] and DEMANDS.violation(good) == 0


def test_a_missed_bound_counts_by_how_much() -> None:
    poor = candidate(mIoU=28.0)
    assert 'mIoU 28; demanded at least 30' in poor.violations[0] and DEMANDS.violation(poor) == pytest.approx(2.0)


def test_without_a_value_it_is_worst() -> None:
    for nothing in (candidate(), candidate(mIoU=math.nan)):
        assert 'mIoU has no value' in nothing.violations
        assert DEMANDS.minimised(nothing) == [BAD, 2.0] and DEMANDS.violation(nothing) == BAD


def test_a_failure_is_told_once() -> None:
    assert DEMANDS.problems(dict(macs_g=2.0), 'out of memory') == ('evaluation failed: out of memory',)
