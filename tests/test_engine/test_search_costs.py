"""What is priced after a search is priced as in the search, so that the two may stand in one table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hyctas_mm.archs import Architecture
from hyctas_mm.engine import retraining
from hyctas_mm.engine.candidate_costs import CandidateCosts
from hyctas_mm.engine.retraining import add_random
from hyctas_mm.search.archive import read_archive
from hyctas_mm.search.folder import SearchFolder
from hyctas_mm.studies.finished_search import FinishedSearch
from hyctas_mm.studies.open_search import OpenSearch
from tests.tiny_jobs import config, run

PRICES = {
    'train_cfg.objectives': ['mIoU', 'latency_ms'],
    'train_cfg.bounds': dict(memory_gb=dict(max=9), file_mb=dict(max=9)),
    'train_cfg.memory_input': (2, (64, 64)),
    'train_cfg.post_processing': True,
    'train_cfg.latency_seconds': 0.001,
    'train_cfg.branches': (1,),
    'train_cfg.population': 2,
    'train_cfg.generations': 1,
}


@pytest.fixture(scope='module')
def priced(toy_root: Path, supernet: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Work dir of a search whose latencies include seven milliseconds for what comes after the network."""
    work_dir = tmp_path_factory.mktemp('priced')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CandidateCosts, '_measure_post_processing', lambda *_: 7.0)
        run(config('search', toy_root, work_dir, **PRICES, **{'train_cfg.supernet': str(supernet)}))
    return work_dir


def archived(work_dir: Path) -> tuple[Architecture, dict[str, float]]:
    candidate = read_archive(work_dir / 'search' / 'archive.jsonl')[0]
    return candidate.arch, dict(candidate.costs)


def test_evidence_prices_as_the_search(priced: Path) -> None:
    arch, costs = archived(priced)
    assert costs.keys() == {'params_m', 'macs_g', 'latency_ms', 'memory_gb', 'file_mb', 'run_mb'}
    assert FinishedSearch(priced).costs()(arch) == pytest.approx(costs)


def test_random_networks_are_priced_as_the_search(priced: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arch, costs = archived(priced)
    monkeypatch.setattr(retraining, 'random_twin', lambda *_: arch)  # one whose cost in the search is known
    folder = priced / 'search'
    add_random(SearchFolder(folder), 1, 0)
    results = json.loads((folder / 'subnets' / arch.archid / 'results.json').read_text())
    assert results['role'] == 'random' and results['costs'] == pytest.approx(costs)


@pytest.mark.slow
def test_a_search_that_is_opened_again_prices_as_it_would(
    toy_root: Path, supernet: Path, priced: Path, tmp_path: Path
) -> None:
    arch, costs = archived(priced)
    table = {'train_cfg.latency_table': str(priced / 'latency_table.json')}
    search = OpenSearch(config('search', toy_root, tmp_path, **PRICES, **table), tmp_path)
    assert search.loop.prepare_costs(search.evaluator(supernet))(arch) == pytest.approx(costs)
    assert search.sizes()(arch).keys() == {'params_m', 'macs_g'}


def test_the_constant_between_parts_is_measured_where_the_table_lacks_it(
    priced: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = priced / 'latency_table.json'
    table = json.loads(path.read_text())
    path.write_text(json.dumps(table | dict(overhead_ms=None)))
    fitted: list[int] = []
    monkeypatch.setattr(CandidateCosts, 'fit_overhead', lambda self, archs: fitted.append(len(archs)))
    costs = FinishedSearch(priced).costs()
    path.write_text(json.dumps(table))
    assert costs.table is not None and fitted == [5] and np.isclose(costs.post_processing_ms, 7.0)


def test_settings_of_no_use_are_named(priced: Path, tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError,
        match='search.json is missing or names no search_space and no post_processing_ms; .* --resume',
    ):
        _ = SearchFolder(tmp_path).settings
