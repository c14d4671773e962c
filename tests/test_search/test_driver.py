"""The search without networks: what it proposes, judges and remembers, and that its archive is its only state."""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyctas_mm.archs import Architecture, SearchSpace
from hyctas_mm.search import Archive, Candidate, read_bounds, read_objectives
from hyctas_mm.search.demands import Demands
from hyctas_mm.search.driver import Generation, SearchDriver, SearchError
from hyctas_mm.search.evaluator import Job, Outcome
from hyctas_mm.search.screening import PART, read_screening
from tests.test_search.test_search import cost, score

SPACE = SearchSpace(layers=6)
ALGORITHMS = ('NSGA2', 'RandomSearch', 'RegularisedEvolution', 'SurrogateNSGA2')


class Table:
    """Judges by a formula; counts what it is asked for and notes what it was told."""

    def __init__(self, failing: str = '') -> None:
        self.asked: list[str] = []
        self.observed: list[int] = []
        self.failing = failing

    def identity(self) -> dict[str, Any]:
        return dict(formula='score')

    def evaluate(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        for job in jobs:
            self.asked.append(job.arch.archid)
            value = score(job.arch)
            if job.arch.archid[0] in self.failing:
                yield Outcome(failure='out of memory')
            elif job.limit is not None:
                part = {'mIoU' + PART: value - 1 - int(job.arch.archid[0] > '7')}
                yield Outcome(part if job.limit.gives_up({'mIoU': part['mIoU' + PART]}) else dict(mIoU=value) | part)
            else:
                yield Outcome(dict(mIoU=value), seconds=0.5)

    def network(self, arch: Architecture) -> None:
        return None

    def observe(self, candidates: Sequence[Candidate]) -> None:
        self.observed.append(len(candidates))


def prices(arch: Architecture) -> dict[str, float]:
    return dict(macs_g=cost(arch), params_m=1.0)


def driver(
    path: Path, evaluator: Table | None = None, algorithm: str = 'NSGA2', bounds: dict = {}, **options: Any
) -> SearchDriver:
    demands = Demands(read_objectives(['mIoU', 'macs_g']), read_bounds(bounds))
    options = dict(population=8) | options
    quick = dict(pool=20, rounds=2) if algorithm == 'SurrogateNSGA2' else {}
    return SearchDriver(
        SPACE,
        dict(type=algorithm, **quick),
        evaluator or Table(),
        prices,
        demands,
        Archive(path / 'archive.jsonl'),
        **options,
    )


def generations(search: SearchDriver, count: int, tracks: Sequence[int | None] = (1, 2)) -> list[Generation]:
    return [generation for track in tracks for generation in islice(search.search(track), count)]


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in (path / 'archive.jsonl').read_text().splitlines()]


@pytest.mark.parametrize('algorithm', ALGORITHMS)
def test_generations(tmp_path: Path, algorithm: str) -> None:
    table, shown = Table(), []
    search = driver(tmp_path, table, algorithm, watch=shown.append)
    found = generations(search, 4)
    assert [(g.track, g.index) for g in found] == [(track, index) for track in (1, 2) for index in range(4)]
    assert all(len(g.candidates) == 8 for g in found)
    assert shown == [c for g in found for c in g.candidates]
    assert table.asked == [c.archid for c in search.archive] and len(set(table.asked)) == len(table.asked)
    for generation in found:
        assert all((c.track, c.generation) <= (generation.track, generation.index) for c in generation.candidates)
        assert {len(c.arch.branches) for c in generation.candidates} == {generation.track}
    candidate = found[0].candidates[0]
    assert (
        candidate.metrics == dict(mIoU=score(candidate.arch))
        and candidate.costs == prices(candidate.arch)
        and candidate.seconds == 0.5
    )


OBJECTIVES = read_objectives(['mIoU', 'macs_g'])
SCREENING = dict(screening=read_screening(dict(images=4, deviations=0.0), OBJECTIVES))
DEMANDED = dict(bounds=dict(macs_g=dict(max=60), mIoU=dict(min=35)))


@functools.cache
def whole(algorithm: str, screened: bool) -> tuple[list[Generation], list[bytes]]:
    """A search that nothing interrupts, and its archive."""
    with tempfile.TemporaryDirectory() as name:
        found = generations(driver(Path(name), algorithm=algorithm, **DEMANDED, **(SCREENING if screened else {})), 4)
        return found, (Path(name) / 'archive.jsonl').read_bytes().splitlines(keepends=True)


@pytest.mark.slow
@pytest.mark.parametrize('algorithm', ALGORITHMS)
@pytest.mark.parametrize('screened', [False, True])
@settings(max_examples=8)
@given(data=st.data())
def test_killed_at_any_byte_and_resumed_equals_uninterrupted(
    algorithm: str, screened: bool, data: st.DataObject
) -> None:
    found, archive = whole(algorithm, screened)
    records = [json.loads(line) for line in archive]
    assert any('mIoU' not in r['metrics'] for r in records) == screened and any(r['violations'] for r in records)
    kept = data.draw(st.integers(0, len(archive)))
    torn = archive[kept][: data.draw(st.integers(0, len(archive[kept]) - 1))] if kept < len(archive) else b''
    with tempfile.TemporaryDirectory() as name:
        folder, table = Path(name), Table()
        (folder / 'archive.jsonl').write_bytes(b''.join(archive[:kept]) + torn)
        again = driver(folder, table, algorithm, **DEMANDED, **(SCREENING if screened else {}))
        assert generations(again, 4) == found
        assert (folder / 'archive.jsonl').read_bytes().splitlines(keepends=True) == archive
        assert len(table.asked) == len(archive) - kept


def test_an_evaluator_is_told_what_earlier_generations_found(tmp_path: Path) -> None:
    table = Table()
    search = driver(tmp_path, table, 'RegularisedEvolution', population=3)
    generations(search, 2)
    assert table.observed == [0, 3, 3, 3, 6, 9, 9, 9]
    again = Table()
    text = (tmp_path / 'archive.jsonl').read_bytes().splitlines(keepends=True)
    (tmp_path / 'archive.jsonl').write_bytes(b''.join(text[:4]))
    generations(driver(tmp_path, again, 'RegularisedEvolution', population=3), 2)
    assert again.observed == [3, 3, 6, 9, 9, 9], 'the same as without an interruption, from where it goes on'


def test_bounds_on_costs_are_checked_before_evaluation(tmp_path: Path) -> None:
    search = driver(tmp_path, bounds=dict(macs_g=dict(max=20)))
    generations(search, 3)
    assert all(c.costs['macs_g'] <= 20 for c in search.archive)
    assert 0 < search.excluded['macs_g'] < search.proposed
    nothing = driver(tmp_path / 'nothing', bounds=dict(macs_g=dict(max=1e-9)))
    assert generations(nothing, 3) == [] and nothing.excluded['macs_g'] == nothing.proposed == 2 * 800


def test_failures(tmp_path: Path) -> None:
    search = driver(tmp_path, Table(failing='5'))
    generations(search, 3)
    failed = [c for c in search.archive if c.archid[0] == '5']
    assert failed and all(c.violations == ('evaluation failed: out of memory',) and not c.metrics for c in failed)
    with pytest.raises(SearchError, match='3 candidates in a row failed, the last with: out of memory'):
        generations(driver(tmp_path / 'broken', Table(failing='0123456789abcdef')), 1)
    assert len(lines(tmp_path / 'broken')) == 2


def test_an_objective_that_nobody_gives(tmp_path: Path) -> None:
    search = driver(tmp_path)
    search.demands = Demands(read_objectives(['PQ', 'macs_g']), ())
    with pytest.raises(
        SearchError, match=r"\['PQ'\] are neither costs nor metrics of val_evaluator, which gives \['mIoU'\]"
    ):
        generations(search, 1)
    search.demands = Demands(read_objectives(['mIoU', 'latency_ms']), ())
    with pytest.raises(ValueError, match='no latency_ms of architectures is known here; known are macs_g, params_m'):
        generations(search, 1)


def test_drivers_share_an_archive(tmp_path: Path) -> None:
    first, second = Table(), Table()
    search = driver(tmp_path, first)
    generations(search, 3)
    other = driver(tmp_path, second, 'RandomSearch')
    other.archive = search.archive
    found = generations(other, 3)
    assert not set(first.asked) & set(second.asked) and len(second.asked) < 48
    assert [c.archid for c in found[0].candidates] == first.asked[:8], 'both begin with the same population'
