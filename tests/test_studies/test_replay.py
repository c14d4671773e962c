"""The deciding table, of landmarks and judges whose worth is known."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyctas_mm.studies import judges
from hyctas_mm.studies.judges import judges_of, surrogates_of
from hyctas_mm.studies.open_search import OpenSearch
from hyctas_mm.studies.recording import record
from hyctas_mm.studies.replay import _expected_pick, replay
from tests.evaluators import judged_by
from tests.landmark_tables import add_judge, archs, table
from tests.tiny_jobs import config
from tools import evidence

BEST_OF = {2: 0.564, 8: 1.424, 12: 1.629, 20: 1.867}
"""Expected largest of so many standard normal numbers."""


@pytest.fixture(scope='module')
def large() -> dict[str, Any]:
    """So many networks that what is found is what follows from the formulas."""
    found = table(600)
    add_judge(found, 'good', 0.8, each=30)
    add_judge(found, 'blind', 0.0, each=30)
    add_judge(found, 'supernet', 0.8, before=2400, each=10)
    add_judge(found, 'dear supernet', 1.0, before=4000)
    return found


@pytest.fixture(scope='module')
def result(large: dict[str, Any]) -> dict[str, Any]:
    return replay(large, budgets=[3000], window=200, draws=60)


def row(result: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(entry for entry in result['rows'] if entry['judge'] == name)
    return found


def test_gains_are_those_of_order_statistics(result: dict[str, Any]) -> None:
    """600 steps in each of five bins: two trainings of correlation 0.89, twenty looks of 0.8, halving of eight."""
    gains = {name: row(result, name)['gain']['3000'] for name in ('trained fully', 'good', 'blind', 'supernet')}
    expected = {'trained fully': BEST_OF[2] * 0.8**0.5, 'good': BEST_OF[20] * 0.8, 'blind': 0.0}
    expected['supernet'] = BEST_OF[12] * 0.8
    assert row(result, 'supernet')['candidates'] == {'3000': 12}
    for name, gain in gains.items():
        assert gain['value'] == pytest.approx(expected[name], abs=0.2), name
        assert 0 < gain['se'] < 0.2
    assert row(result, '30 steps')['gain']['3000']['value'] == pytest.approx(BEST_OF[20] * 0.5, abs=0.12)
    halved = row(result, 'halving 30-75-300 by 3')
    assert halved['candidates'] == {'3000': 8} and halved['each'] == 70
    assert 'tau' not in halved, 'that of the full trainings it ends with'
    assert BEST_OF[2] * 0.8**0.5 < halved['gain']['3000']['value'] < BEST_OF[8]
    assert not any(entry['judge'] == 'dear supernet' for entry in result['rows']), 'it costs more than there is'


def test_who_stays(result: dict[str, Any]) -> None:
    staying = {entry['judge'] for entry in result['rows'] if entry['stays']}
    assert {'good', 'supernet'} <= staying and not {'trained fully', 'blind', 'log params'} & staying
    assert result['best']['3000'].startswith('loss of'), 'these losses know the truth'
    over = row(result, 'good')['over']['3000']
    full, good = (row(result, name)['gain']['3000']['value'] for name in ('trained fully', 'good'))
    assert over['value'] == pytest.approx(good - full) and over['value'] > 2 * over['se']


def test_agreement_and_its_share_of_the_ceiling(result: dict[str, Any]) -> None:
    for scope in ('overall', 'within branches', 'within latency'):
        good, full = (row(result, name) for name in ('good', 'trained fully'))
        # truth of three seeds has a correlation of 0.96 with true scores, that of two of 0.94
        assert good['rho'][scope]['value'] == pytest.approx(0.8 * 0.96, abs=0.05)
        assert good['rho'][scope]['share'] == pytest.approx(0.8, abs=0.05)
        assert good['tau'][scope]['value'] == pytest.approx(2 / np.pi * np.arcsin(0.77), abs=0.05)
        assert full['rho'][scope]['value'] == pytest.approx(0.89 * 0.94, abs=0.05)
        assert full['rho'][scope]['share'] == pytest.approx(0.89, abs=0.05)


def test_size_is_no_merit() -> None:
    found = replay(table(300, spread=0.5, slope=5.0), budgets=[3000], window=100, draws=50)
    size = row(found, 'log MACs')
    assert size['tau']['overall']['value'] > 0.7 and size['gain']['3000']['value'] == pytest.approx(
        0, abs=0.6
    )  # else 2
    assert abs(size['tau']['within latency']['value']) < 0.1


def test_a_judge_before_the_last_training() -> None:
    """Nine are looked at for each that is trained."""
    found = table(60)
    add_judge(found, 'good', 0.8, before=1000, each=20)
    both = next(j for j in judges_of(found) if j.name == 'good, a ninth trained')
    assert both.each == (20, 320) and both.before == 1000 and both.steps == pytest.approx(20 + 300 / 9)
    assert both.seeds == (0, 1, 2) and both.scores.shape == (2, 3, 60)


def test_surrogates_predict_who_was_not_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    found = table(120, noise=0.1, known=True, seeds=2)
    monkeypatch.setattr(judges, 'SPLITS', 1)
    assert not list(surrogates_of(found, judges_of(found), 3000)), 'five labels are too few'
    made = {judge.name: judge for judge in surrogates_of(found, judges_of(found), 24000)}
    assert list(made) == ['surrogate', 'surrogate on what costs nothing', 'surrogate on 30 steps']
    plain = made['surrogate']
    assert plain.before == 40 * 300 and plain.each == (0,) and plain.scores.shape == (1, 2, 120)
    assert (np.isnan(plain.scores).sum(axis=2) == 40).all() and plain.seeds == (0, 1)
    assert made['surrogate on 30 steps'].each == (30,)
    result = replay(found, budgets=[24000], draws=20)
    assert row(result, 'surrogate')['rho']['overall']['value'] > 0.6
    gain = row(result, 'surrogate')['gain']['24000']
    assert gain['value'] > 2 * gain['se'] > 0


@given(st.data())
def test_the_expected_pick_is_that_of_all_draws(data: st.DataObject) -> None:
    number, candidates = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    scores = np.array(data.draw(st.permutations(range(number))), dtype=float)
    missing = data.draw(st.integers(0, number - 1))
    scores[:missing] = np.nan
    true = np.array(data.draw(st.lists(st.floats(-5, 5), min_size=number, max_size=number)))
    draws = list(itertools.product(range(missing, number), repeat=candidates))
    expected = np.mean([true[max(draw, key=lambda i: scores[i])] for draw in draws])
    assert _expected_pick(scores[None], true[None], candidates)[0] == pytest.approx(expected)


def test_tables_that_cannot_be_replayed() -> None:
    with pytest.raises(ValueError, match='12 networks of 1 seeds; expected 10 networks and 2 seeds'):
        replay(table(12, seeds=1))
    found = table(12)
    add_judge(found, 'old', 0.5)
    found['judges']['old']['scores'].popitem()
    with pytest.raises(ValueError, match="the judge 'old' lacks 1 networks"):
        replay(found)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    found = table(30)
    add_judge(found, 'inherited', 0.7, before=1500, each=1)
    path = tmp_path / 'landmarks.json'
    path.write_text(json.dumps(found))
    assert not evidence.main(['judges', str(path), '--budgets', '2000', '3500', '--bins', '3'])
    printed = capsys.readouterr().out
    assert '30 landmarks of 3 seeds in 3 latency bins' in printed and 'best for 3500 steps: ' in printed
    result = json.loads((tmp_path / 'judges.json').read_text())
    assert row(result, 'inherited')['candidates'] == {'2000': 24, '3500': 24}
    assert not evidence.main(['judges', str(path), '--budgets', '1000', '--bins', '3']), 'a supernet is out of reach'
    assert evidence.main(['judges', str(tmp_path / 'none.json')]) == 2
    path.write_text('{}')
    assert evidence.main(['judges', str(path)]) == 2


def test_what_an_evaluator_says_is_recorded(toy_root: Path, supernet: Path, tmp_path: Path) -> None:
    cfg = config('search', toy_root, tmp_path, **{'train_cfg.supernet': str(supernet)})
    search, path = OpenSearch(judged_by('ScoreOfId', cfg), tmp_path / 'logs'), tmp_path / 'landmarks.json'
    networks = [search.space.sample(np.random.default_rng(n)) for n in range(3)]
    found = dict(networks=[dict(archid=a.archid, arch=a.to_dict(), costs={}, curves={'0': {}}) for a in networks])
    path.write_text(json.dumps(found))
    said = record(path, search, 'ids', 4, 1)['judges']['ids']
    assert said['scores'] == {a.archid: int(a.archid, 16) % 1000 / 10 for a in networks}
    assert (said['before'], said['each']) == (4, 1) and json.loads(path.read_text())['judges']['ids'] == said
    said['scores'][networks[0].archid] = -1.0
    del said['scores'][networks[1].archid]
    path.write_text(json.dumps(found | dict(judges=dict(ids=said))))
    again = record(path, search, 'ids', 4, 1, dict(calibration_batches=2))['judges']['ids']['scores']
    assert again[networks[0].archid] == -1 and len(again) == 3, 'what is there is kept'
    with pytest.raises(ValueError, match="the judge 'ids' is another one: each is 1 there, 2 here"):
        record(path, search, 'ids', 4, 2)
    deep = next(arch for arch in archs(20) if max(map(len, arch.branches)) == 5)
    path.write_text(json.dumps(dict(networks=[dict(found['networks'][0], arch=deep.to_dict())])))
    with pytest.raises(ValueError, match='1 landmarks are not in the search space'):
        record(path, search, 'ids', 4, 1)
