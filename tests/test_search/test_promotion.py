"""Who is trained on: a rule that knows scores, costs and what earlier generations found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyctas_mm.search import Candidate, read_objectives
from hyctas_mm.search.promotion import Promotion, rung_name
from tests.test_search.test_driver import SPACE

RULE = Promotion(*read_objectives(['mIoU', 'macs_g'])[:1], read_objectives(['mIoU', 'macs_g'])[1:], 3, 8)
ARCH = SPACE.sample(np.random.default_rng(0))


def candidates(scores: list[float], costs: list[float]) -> list[Candidate]:
    return [
        Candidate(n, 0, None, ARCH, {rung_name('mIoU', 30): score}, dict(macs_g=cost))
        for n, (score, cost) in enumerate(zip(scores, costs, strict=True))
    ]


def test_one_in_three_of_equal_cost_is_trained_on() -> None:
    scores = np.random.default_rng(0).permutation(9).astype(float).tolist()
    promoted = [
        RULE.promotes('a', dict(macs_g=1.0), own, 30, candidates([s for s in scores if s != own], [1.0] * 8))
        for own in scores
    ]
    assert sorted(s for s, p in zip(scores, promoted, strict=True) if p) == [6, 7, 8]


def test_only_the_nearest_in_cost_count() -> None:
    known = candidates([50.0] * 8 + [20.0] * 8, [10.0] * 8 + [1.0] * 8)
    assert RULE.promotes('a', dict(macs_g=1.1), 30.0, 30, known)
    assert not RULE.promotes('a', dict(macs_g=9.0), 30.0, 30, known)
    assert not RULE.promotes('a', dict(macs_g=1.1), float('nan'), 30, known)
    assert not RULE.promotes('a', dict(macs_g=1.1), 10.0, 30, known)


def test_what_dominates_comes_first() -> None:
    """Of equal scores the cheap one; a cheap one of a low score is still on the front."""
    known = candidates([30.0, 31.0], [1.0, 1.1])
    assert RULE.promotes('a', dict(macs_g=1.05), 32.0, 30, known)
    assert not RULE.promotes('a', dict(macs_g=1.2), 31.0, 30, known)


def test_before_there_is_a_bar_chance_decides() -> None:
    promoted = [RULE.promotes(f'{n:012x}', dict(macs_g=1.0), 30.0, 30, []) for n in range(900)]
    assert sum(promoted) / 900 == pytest.approx(1 / 3, abs=0.05)
    again = [RULE.promotes(f'{n:012x}', dict(macs_g=1.0), 30.0, 100, []) for n in range(900)]
    assert 0.2 < np.mean(np.array(again)[promoted]) < 0.45, 'drawn anew for each rung'


@given(st.data())
def test_the_order_of_what_was_found_does_not_matter(data: st.DataObject) -> None:
    scores = data.draw(st.lists(st.integers(0, 9), min_size=1, max_size=12))
    costs = data.draw(st.permutations(range(1, len(scores) + 1)))
    known = candidates([float(s) for s in scores], [float(c) for c in costs])
    own = data.draw(st.integers(0, 9))
    found = {RULE.promotes('a', dict(macs_g=0.5), float(own), 30, order) for order in (known, known[::-1])}
    assert len(found) == 1
    if found == {True} and len(scores) > 2:
        assert RULE.promotes('a', dict(macs_g=0.5), own + 1.0, 30, known), 'a better score is never worse'
