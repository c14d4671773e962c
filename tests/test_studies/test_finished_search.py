"""The experiments on a finished search: random networks of like cost, and distorted ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from hyctas_mm.evaluators import trained_networks
from hyctas_mm.studies import random_baseline
from hyctas_mm.studies.finished_search import FinishedSearch
from hyctas_mm.studies.random_baseline import measure_random_baseline, networks_by_branches
from tests.synthetic import synthetic_costs
from tools import evidence


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, int]]:
    """Every training asked for, none of them run: the result is made up from the name."""
    asked: list[tuple[Path, int]] = []

    def pretend(folder: Path, seed: int, **_) -> dict[str, float]:
        assert (folder / 'config.py').is_file()
        asked.append((folder, seed))
        return dict(mIoU=int(folder.name[:2], 16) / 4 + seed)

    monkeypatch.setattr(trained_networks, 'retrain', pretend)
    return asked


def test_random_networks_of_like_cost(
    fast_search: Path, training: list, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(FinishedSearch, 'costs', lambda self: synthetic_costs)  # drawing prices thousands
    assert evidence.main(['random_baseline', str(fast_search), '--per-track', '2', '--seeds', '0', '1']) == 0
    result = json.loads((fast_search / 'evidence' / 'random_baseline.json').read_text())
    search = FinishedSearch(fast_search)
    assert result['matched_cost'] == 'macs_g' and [t['branches'] for t in result['tracks']] == sorted(
        networks_by_branches(search)
    )
    for track in result['tracks']:
        searched, drawn = track['searched']['networks'], track['random']['networks']
        assert len(drawn) == 2 and {n['archid'] for n in drawn}.isdisjoint(search.result.chosen)
        for number, network in enumerate(drawn):
            assert network['costs']['macs_g'] == pytest.approx(
                searched[number % len(searched)]['costs']['macs_g'], rel=0.051
            )
            assert network['score'] == int(network['archid'][:2], 16) / 4 + 0.5
    folders = {folder.name: folder for folder, _ in training}
    assert all(folders[archid].parent == fast_search / 'search' / 'subnets' for archid in search.result.chosen), (
        'trained once for all'
    )
    assert f'random-{result["tracks"][0]["branches"]}' in capsys.readouterr().out
    monkeypatch.setattr(random_baseline, 'random_twin', None)  # what was drawn is kept
    assert json.loads(json.dumps(measure_random_baseline(search, 2, seeds=[0, 1]))) == result


def test_a_track_without_a_chosen_network_has_its_best(fast_search: Path) -> None:
    search = FinishedSearch(fast_search)
    path = fast_search / 'search' / 'front.json'
    front = json.loads(path.read_text())
    chosen = [i for i in front['chosen'] if len(search.result.by_id[i].arch.branches) == 1] or front['fronts_by_track'][
        '1'
    ][:1]
    path.write_text(json.dumps(front | dict(chosen=chosen)))
    found = networks_by_branches(FinishedSearch(fast_search))
    best = max(front['fronts_by_track']['2'], key=lambda i: search.result.by_id[i].metrics['mIoU'])
    assert [a.archid for a in found[1]] == chosen and [a.archid for a in found[2]] == [best]


def test_distorted_networks(fast_search: Path, training: list, capsys: pytest.CaptureFixture) -> None:
    search = FinishedSearch(fast_search)
    archid = next(
        c.archid
        for c in search.result.candidates
        if any(cell.op == 'attention' for cell in c.arch.branches[0]) and len(c.arch.cells) > 2
    )
    assert evidence.main(['perturb', str(fast_search), '--arch', archid, '--iters', '1', '--seeds', '0', '1']) == 0
    result = json.loads((fast_search / 'evidence' / f'perturb_{archid}.json').read_text())
    original, *variants = result['variants']
    assert (original['name'], original['archid'], original['difference']) == ('searched', archid, 0) and len(
        variants
    ) == 4
    for variant in variants:
        if 'score' in variant:
            expected = int(variant['archid'][:2], 16) / 4 + 0.5
            assert (
                variant['score']['mean'] == expected and variant['difference'] == expected - original['score']['mean']
            )
            assert variant['score']['std'] == pytest.approx(0.5**0.5)
        else:
            assert variant['note']
    assert all(folder.parents[1] == fast_search / 'evidence' / 'iters_1' for folder, _ in training)
    printed = capsys.readouterr().out
    assert 'SA -> conv' in printed and 'shift SA branch' in printed


def test_a_network_is_trained_for_true(fast_search: Path) -> None:
    search = FinishedSearch(fast_search)
    arch = search.result.candidates[0].arch
    results = search.trained_networks(1).train([arch], [0], 'mIoU')
    kept = json.loads((fast_search / 'evidence' / 'iters_1' / 'subnets' / arch.archid / 'results.json').read_text())
    assert results[arch.archid][0] == kept['by_seed']['0']['mIoU'] and kept['by_seed']['0']['iters'] == 1


def test_mistakes(fast_search: Path, training: list, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    def error(*arguments: str) -> str:
        assert evidence.main(list(arguments)) == 2
        return capsys.readouterr().err

    assert 'no search in' in error('random_baseline', str(tmp_path))
    assert '--per-track 0' in error('random_baseline', str(fast_search), '--per-track', '0')
    assert '--arch nothing: not in the archive' in error('perturb', str(fast_search), '--arch', 'nothing')
    shutil.rmtree(fast_search / 'search' / 'subnets')
    assert 'let tools/search.py finish' in error('random_baseline', str(fast_search))
