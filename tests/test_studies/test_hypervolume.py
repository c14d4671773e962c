from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hyctas_mm.archs import Architecture, SearchSpace
from hyctas_mm.evaluators import InheritedWeights, Job, Outcome
from hyctas_mm.search import Archive, Bound, Candidate
from hyctas_mm.search.archive import ARCHIVE, read_archive
from hyctas_mm.search.demands import Demands
from hyctas_mm.search.driver import SearchDriver, SearchError
from hyctas_mm.studies import hypervolume
from hyctas_mm.studies.hypervolume import METHODS, compare_searches, frame_of, points_of, read_runs, summarise
from hyctas_mm.studies.open_search import OpenSearch
from tests.synthetic import synthetic_costs, synthetic_objectives, synthetic_score
from tests.tiny_jobs import config
from tools import evidence

SPACE = SearchSpace(layers=6)


class Formula:
    """Judges by a function of the architecture; what it raises is a failure."""

    def __init__(self, score: Callable[[Architecture], dict[str, float]]) -> None:
        self.score = score

    def evaluate(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        for job in jobs:
            try:
                yield Outcome(self.score(job.arch), seconds=0.1)
            except RuntimeError as error:
                yield Outcome(failure=str(error), seconds=0.1)

    def identity(self) -> dict[str, Any]:
        return {}

    def network(self, arch: Architecture) -> None:
        return None

    def observe(self, candidates: Sequence[Candidate]) -> None:
        """Nothing is learnt."""


def searches(folder: Path, score=synthetic_score, bounds=(), space: SearchSpace = SPACE) -> Callable[..., SearchDriver]:
    demands = Demands(synthetic_objectives(), tuple(bounds))
    archive = Archive(folder / ARCHIVE)
    return partial(
        SearchDriver, space=space, evaluator=Formula(score), prices=synthetic_costs, demands=demands, archive=archive
    )


def test_nsga2_finds_more_than_random_search(tmp_path: Path) -> None:
    asked: Counter[str] = Counter()

    def counted(arch: Architecture) -> dict[str, float]:
        asked[arch.archid] += 1
        return synthetic_score(arch)

    runs = compare_searches(searches(tmp_path, counted), [2], [0, 1], 120, 12)
    assert list(runs) == list(METHODS) and all(list(by_seed) == ['0', '1'] for by_seed in runs.values())
    assert all(len({c.archid for c in found}) == 120 for by_seed in runs.values() for found in by_seed.values())
    assert set(asked.values()) == {1} and len(asked) == len(read_archive(tmp_path / ARCHIVE)) < 720
    first = [[c.archid for c in runs[name]['0'][:12]] for name in METHODS]
    assert first[0] == first[1] == first[2]
    result = summarise(runs, synthetic_objectives(), frame_of(runs, synthetic_objectives()))
    ends = {name: method['mean'][-1] for name, method in result['methods'].items()}
    assert ends['NSGA-II'] > ends['random search'] and ends['regularised evolution'] > ends['random search']
    for method in result['methods'].values():
        assert (np.diff(method['mean']) >= 0).all() and method['low'][-1] <= method['mean'][-1] <= method['high'][
            -1
        ] <= 1
    assert result['frame']['ideal']['mIoU'] > result['frame']['reference']['mIoU']
    assert result['frame']['ideal']['macs_g'] < result['frame']['reference']['macs_g']


def test_a_second_run_evaluates_nothing(tmp_path: Path) -> None:
    before = compare_searches(searches(tmp_path), [1, None], [0], 32, 8)

    def never(arch: Architecture) -> dict[str, float]:
        raise AssertionError

    assert compare_searches(searches(tmp_path, never), [1, None], [0], 32, 8) == before


def test_the_budget_is_shared_by_the_tracks(tmp_path: Path) -> None:
    runs = compare_searches(searches(tmp_path), [1, 2, 3], [0], 60, 5)
    for by_seed in runs.values():
        branches = Counter(len(c.arch.branches) for c in by_seed['0'])
        assert sum(branches.values()) == 60 and max(branches.values()) - min(branches.values()) <= 5


def test_a_search_that_runs_dry_ends(tmp_path: Path) -> None:
    tiny = SearchSpace(layers=4, ops=('conv',), widths=(12,), max_branches=1)
    runs = compare_searches(searches(tmp_path, space=tiny), [1], [0], 40, 2)
    assert all(len(by_seed['0']) <= tiny.size() for by_seed in runs.values())
    summarise(runs, synthetic_objectives(), frame_of(runs, synthetic_objectives()))


def test_bounds_and_failures(tmp_path: Path) -> None:
    def failing(arch: Architecture) -> dict[str, float]:
        if len(arch.cells) > 9:
            raise RuntimeError('out of memory')
        return synthetic_score(arch)

    bounds = (Bound('macs_g', maximum=30), Bound('mIoU', minimum=35))
    runs = compare_searches(searches(tmp_path, failing, bounds), [2], [0], 60, 10)
    candidates = [c for by_seed in runs.values() for c in by_seed['0']]
    assert max(c.costs['macs_g'] for c in candidates) <= 30
    failed = [c for c in candidates if 'evaluation failed: out of memory' in c.violations]
    low = [c for c in candidates if c.violations and c.violations[0].startswith('mIoU')]
    assert failed and low and all(Demands(synthetic_objectives(), bounds).violation(c) > 0 for c in failed + low)
    points = points_of(candidates, synthetic_objectives())
    assert [bool(c.violations) for c in candidates] == np.isinf(points).all(axis=1).tolist()


def test_corners_may_be_given(tmp_path: Path) -> None:
    objectives = synthetic_objectives()
    runs = compare_searches(searches(tmp_path), [1], [0], 16, 8)
    frame = frame_of(runs, objectives, dict(mIoU=100), dict(mIoU=0, macs_g=50))
    assert frame.ideal[0] == -100 and frame.reference == (0, 50)
    with pytest.raises(ValueError, match='speed: no objective of these searches, which have mIoU, macs_g'):
        frame_of(runs, objectives, dict(speed=1))


def test_a_budget_in_which_nothing_evolves(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r'--budget 40 over 3 track\(s\) with a population of 8.* --budget 48'):
        compare_searches(searches(tmp_path), [1, 2, 3], [0], 40, 8)


def test_an_unknown_cost(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='no latency_ms of architectures is known here; known are macs_g'):
        compare_searches(searches(tmp_path, bounds=(Bound('latency_ms', maximum=5),)), [1], [0], 16, 8)


def test_finished_searches_are_compared(searched: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    runs, objectives = read_runs(
        [f'a={searched}', f'a={searched / "search" / "archive.jsonl"}', str(searched / 'search')]
    )
    assert [len(by_path) for by_path in runs.values()] == [2, 1] and [o.name for o in objectives] == ['mIoU', 'macs_g']
    out = tmp_path / 'figure.png'
    assert evidence.main(['hypervolume', f'a={searched}', '--reference', 'mIoU=0', '--out', str(out)]) == 0
    assert (
        out.read_bytes()[:4] == b'\x89PNG'
        and json.loads(out.with_suffix('.json').read_text())['frame']['reference']['mIoU'] == 0
    )
    assert 'after 50%' in capsys.readouterr().out
    assert evidence.main(['hypervolume', str(tmp_path)]) == 2
    assert 'no search config and no archive' in capsys.readouterr().err


@pytest.mark.slow
def test_on_a_supernet(toy_root: Path, supernet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def search() -> OpenSearch:
        return OpenSearch(config('search', toy_root, tmp_path, **{'train_cfg.branches': (1,)}), tmp_path / 'logs')

    opened = search()
    runs, objectives = hypervolume.compare_on_supernet(opened, str(supernet), tmp_path / 'hypervolume', [0], 6, 3)
    scored = next(c for c in runs['NSGA-II']['0'])
    (again,) = opened.evaluator(supernet).evaluate([Job(scored.arch, {})])
    assert again.metrics == scored.metrics and [o.name for o in objectives] == ['mIoU', 'macs_g']
    monkeypatch.setattr(InheritedWeights, 'evaluate', None)
    again, _ = hypervolume.compare_on_supernet(opened, str(supernet), tmp_path / 'hypervolume', [0], 6, 3)
    assert again == runs
    other = config('search', toy_root, tmp_path, **{'val_dataloader.dataset.indices': 7})
    with pytest.raises(SearchError, match='holds another search: evaluator.images_sha1 is'):
        hypervolume.compare_on_supernet(
            OpenSearch(other, tmp_path / 'logs'), str(supernet), tmp_path / 'hypervolume', [0], 18, 3
        )
