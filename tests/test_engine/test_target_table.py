"""Searching for a target: its table is measured here, and refused where it is not good."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hyctas_mm.archs import SearchSpace
from hyctas_mm.archs.extremes import largest, smallest
from hyctas_mm.costs import FittedTable, Target
from hyctas_mm.costs.targets import OnnxRuntime
from hyctas_mm.engine import target_table
from hyctas_mm.engine.candidate_costs import CandidateCosts
from hyctas_mm.engine.search_costs import Pricing
from hyctas_mm.search.archive import read_archive
from hyctas_mm.studies.finished_search import FinishedSearch
from tests.conftest import supernet_cfg
from tests.tiny_jobs import config, run

SHAPE = (1, 3, 32, 64)
TARGET = Target('onnxruntime')
CPU = torch.device('cpu')
SPACE = SearchSpace(layers=4, ops=('skip', 'conv'), widths=(4, 8), max_branches=2, branch_probs=(0.5, 0.5))


@pytest.fixture
def costs(tmp_path: Path) -> CandidateCosts:
    return CandidateCosts(supernet_cfg(), SHAPE, FittedTable(tmp_path / 'table.json', TARGET, SHAPE))


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Networks are not written; they take what their work says, with the noise that is set."""
    settings = dict(noise=0.0)
    rng = np.random.default_rng(0)

    def measure(opens: dict[str, float], found: dict[str, list[float]], *_: Any) -> Iterator[str]:
        for name, ms in opens.items():
            found[name] = [ms * float(np.exp(settings['noise'] * rng.standard_normal()))] * 2
            yield ''

    def milliseconds(target: Target, work: dict[str, float], *_: Any) -> float:
        return 1 + 100 * work.get('conv3', 0) + 10 * work['moved']

    monkeypatch.setattr(target_table, 'shipped', lambda costs, arch: costs.table.row(costs.parts(arch)))
    monkeypatch.setattr(target_table, 'measure', measure)
    monkeypatch.setattr(target_table, 'opener', milliseconds)
    return settings


def test_networks_are_chosen_and_left_out(costs: CandidateCosts) -> None:
    chosen = target_table.choose_networks(costs, SPACE, 24)
    assert len(chosen) == 24 and sum(out for _, out in chosen.values()) == 6
    assert list(chosen) == list(target_table.choose_networks(costs, SPACE, 24)), 'the same each time'
    with pytest.raises(ValueError, match='8 networks for a latency table; expected 24 or more'):
        target_table.choose_networks(costs, SPACE, 8)


def test_a_table_is_built_and_prices_architectures(costs: CandidateCosts, pretended: dict[str, float]) -> None:
    told: list[str] = []
    check = target_table.build_table(costs, SPACE, CPU, networks=24, say=told.append)
    assert check.left_out == 6 and check.median_error < 0.05 and 'Spearman' in told[-1]
    assert costs.measured_on is not None and costs.measured_on.endswith('onnxruntime, 1 threads')
    small, large = (costs(arch(SPACE))['latency_ms'] for arch in (smallest, largest))
    assert 1 < small < large
    pretended['noise'] = 1.0
    target_table.build_table(costs, SPACE, CPU, networks=24, enough=0.01, say=told.append)
    assert 'that is above 1%: measured again' in told


def test_an_interrupted_measurement_goes_on(
    costs: CandidateCosts, pretended: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, seen = target_table.measure, []

    def stops(opens: dict[str, float], found: dict[str, list[float]], *args: Any) -> Iterator[str]:
        left = {name: ms for name, ms in opens.items() if name not in found}
        seen.append(len(left))
        for number, told in enumerate(whole(left, found, *args)):
            yield told
            if number == 9 and len(seen) == 1:
                raise KeyboardInterrupt

    monkeypatch.setattr(target_table, 'measure', stops)
    place = costs.table.path.with_suffix('.building')
    with pytest.raises(KeyboardInterrupt):
        target_table.build_table(costs, SPACE, CPU, networks=24)
    assert len(json.loads((place / target_table.BUILDING).read_text())['rounds_ms']) == 10
    told: list[str] = []
    target_table.build_table(costs, SPACE, CPU, networks=24, say=told.append)
    assert seen == [24, 14] and 'goes on with 20 measurements of before' in told
    assert not place.exists() and costs.table.path.exists()


def test_of_another_measurement_nothing_is_taken_and_files_are_written_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = target_table._begin(tmp_path, dict(seconds=1)) | dict(rounds_ms=dict(a=[1.0]))
    (tmp_path / target_table.BUILDING).write_text(json.dumps(known))
    assert target_table._begin(tmp_path, dict(seconds=1)) == known
    assert target_table._begin(tmp_path, dict(seconds=2))['rounds_ms'] == {} and not list(tmp_path.iterdir())
    made: list[str] = []

    def write(self: OnnxRuntime, net: Any, x: Any, folder: Path, name: str) -> Path:
        made.append(name)
        return folder / f'{name}.onnx'

    monkeypatch.setattr(OnnxRuntime, 'write', write)
    written: dict[str, str] = {}
    for _ in range(2):
        target_table.opener(TARGET, torch.nn.Identity(), SHAPE, CPU, tmp_path, 'a', written)
    assert made == ['a'] and written == dict(a='a.onnx')


def test_a_search_measures_its_table_and_refuses_a_bad_one(tmp_path: Path, pretended: dict[str, float]) -> None:
    settings: dict[str, Any] = dict(target=TARGET.to_dict(), latency_networks=24)
    good = Pricing((32, 64), ['latency_ms'], latency_error=0.1, **settings)
    first = good.costs(SPACE, tmp_path / 'search', supernet_cfg(), CPU)
    second = good.costs(SPACE, tmp_path / 'search', supernet_cfg(), CPU)  # from the file
    arch = smallest(SPACE)
    assert first(arch)['latency_ms'] == pytest.approx(second(arch)['latency_ms'])
    pretended['noise'] = 1.0
    bad = Pricing((32, 64), ['latency_ms'], latency_table=str(tmp_path / 'bad.json'), latency_error=0.01, **settings)
    with pytest.raises(ValueError, match='not good enough to search by: fitted to 18 networks; on 6 left out'):
        bad.costs(SPACE, tmp_path / 'search', supernet_cfg(), CPU)


def test_wrong_targets_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="runtime 'abacus'; expected one of pytorch"):
        Pricing((32, 64), ['latency_ms'], target=dict(runtime='abacus'))
    with pytest.raises(ValueError, match='post_processing: what comes after a network is not known on a target'):
        Pricing((32, 64), ['latency_ms'], target=TARGET.to_dict(), post_processing=True)
    kept = Pricing((32, 64), ['latency_ms'], target=TARGET.to_dict(), latency_error=0.2).settings()
    assert kept['target'] == TARGET.to_dict() and kept['latency_error'] == 0.2
    assert 'latency_error' not in Pricing((32, 64), ['latency_ms']).settings(), 'begun searches can be resumed'


def test_a_search_goes_by_the_latency_on_its_target(
    toy_root: Path, supernet: Path, tmp_path: Path, pretended: dict[str, float]
) -> None:
    changes = {
        'train_cfg.supernet': str(supernet),
        'train_cfg.objectives': ['mIoU', 'latency_ms'],
        'train_cfg.target': TARGET.to_dict(),
        'train_cfg.latency_networks': 24,
        'train_cfg.branches': (1,),
        'train_cfg.population': 2,
        'train_cfg.generations': 1,
    }
    run(config('search', toy_root, tmp_path, **changes))
    front = json.loads((tmp_path / 'search' / 'front.json').read_text())
    assert front['device'].endswith('onnxruntime, 1 threads')
    candidate = read_archive(tmp_path / 'search' / 'archive.jsonl')[0]
    assert FinishedSearch(tmp_path).costs()(candidate.arch) == pytest.approx(dict(candidate.costs))
