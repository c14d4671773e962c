"""Screening: who is given up, and that nobody is who might be better."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyctas_mm.archs import SearchSpace
from hyctas_mm.search import Candidate, read_objectives
from hyctas_mm.search.screening import MIN_PAIRS, PART, Limit, Screening, read_screening

OBJECTIVES = read_objectives(['mIoU', 'macs_g'])
SPACE = SearchSpace(layers=6, base_channels=4)
ARCHS = [SPACE.sample(np.random.default_rng(i)) for i in range(60)]


def rule(deviations: float = 3.0) -> Screening:
    found = read_screening(dict(images=8, deviations=deviations), OBJECTIVES)
    assert found is not None
    return found


def scored(index: int, part: float, full: float, macs: float, violations: tuple[str, ...] = ()) -> Candidate:
    return Candidate(index, 0, None, ARCHS[index], {'mIoU': full, 'mIoU' + PART: part}, dict(macs_g=macs), violations)


def evaluated(count: int = MIN_PAIRS, gap: float = 1.0) -> list[Candidate]:
    """Scores 30, 31, ... at costs 1, 2, ...; the full score is larger by ``gap`` with a deviation of 0.5."""
    gaps = gap + 0.5 * np.resize([-1.0, 1.0], count) * math.sqrt((count - 1) / count)
    return [scored(i, 30.0 + i - gaps[i], 30.0 + i, 1.0 + i) for i in range(count)]


def test_limit_by_hand() -> None:
    # at cost 5.5 the best that is no dearer has 34; 34 - 1 - 3 * 0.5 is the least score on part of the images that
    # leaves doubt
    limit = rule().limit(dict(macs_g=5.5), evaluated())
    assert limit.worst == pytest.approx(-31.5)
    assert limit.gives_up(dict(mIoU=31.4)) and not limit.gives_up(dict(mIoU=31.6))


@pytest.mark.parametrize(
    ('candidates', 'cost'),
    [(evaluated(MIN_PAIRS - 1), 5.0), (evaluated(), 0.5), ([], 5.0)],
    ids=['too few to know the difference', 'cheaper than all', 'none'],
)
def test_never(candidates: list[Candidate], cost: float) -> None:
    limit = rule().limit(dict(macs_g=cost), candidates)
    assert limit.worst == math.inf and not limit.gives_up(dict(mIoU=0.0))


def test_infeasible_and_given_up_candidates_do_not_count() -> None:
    given_up = Candidate(20, 0, None, ARCHS[20], {'mIoU' + PART: 99.0}, dict(macs_g=0.1), ('given up',))
    infeasible = scored(21, 98.0, 99.0, 0.1, ('params_m 9; demanded at most 1',))
    assert rule().limit(dict(macs_g=5.5), [*evaluated(), given_up, infeasible]) == rule().limit(
        dict(macs_g=5.5), evaluated()
    )


def test_a_score_that_is_no_number_is_not_given_up() -> None:
    assert not Limit('mIoU', -1, -31.5).gives_up(dict(mIoU=math.nan))


def test_given_up_in_words() -> None:
    metrics = {'mIoU' + PART: 31.4159}
    assert (
        rule().was_given_up(metrics)
        and not rule().was_given_up(metrics | dict(mIoU=30.0))
        and not rule().was_given_up({})
    )
    assert (
        rule().reason(metrics)
        == 'given up after 8 images: mIoU 31.42 there; a candidate that costs no more has a better one'
    )


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 100), st.floats(-4, 4), st.floats(0.1, 10)), min_size=MIN_PAIRS, max_size=40),
    st.data(),
)
def test_whoever_is_given_up_is_dominated(rows: list[tuple[float, float, float]], data: st.DataObject) -> None:
    """A candidate whose two scores differ no more than those known (by the deviations asked for) is given up only if
    it is dominated.
    """
    known = [scored(i, full - gap, full, macs) for i, (full, gap, macs) in enumerate(rows)]
    gaps = [gap for _, gap, _ in rows]
    full, macs = data.draw(st.floats(0, 100)), data.draw(st.floats(0.1, 10))
    deviation = data.draw(st.floats(-2, 2))
    part = full - (np.mean(gaps) + deviation * np.std(gaps, ddof=1))
    limit = rule(deviations=2.0 + 1e-6).limit(dict(macs_g=macs), known)
    if replace(limit, worst=limit.worst + 1e-6).gives_up(dict(mIoU=float(part))):
        assert any(c.metrics['mIoU'] > full and c.costs['macs_g'] <= macs for c in known)


@pytest.mark.parametrize('options', [dict(), dict(images=0), dict(images=8, deviations=-1), dict(images=8, halves=2)])
def test_wrong_options(options: dict) -> None:
    with pytest.raises(ValueError, match=r'train_cfg.screening: .*; expected dict\(images=64\)'):
        read_screening(options, OBJECTIVES)


def test_one_score_only() -> None:
    with pytest.raises(ValueError, match="scores \\['mIoU', 'aAcc'\\]"):
        read_screening(dict(images=8), read_objectives(['mIoU', 'aAcc', 'macs_g']))
    assert read_screening(None, OBJECTIVES) is None
