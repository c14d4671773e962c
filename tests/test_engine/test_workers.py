"""What becomes of a candidate whose evaluation raises, where a GPU is the cause."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hyctas_mm.archs import Architecture, SearchSpace
from hyctas_mm.engine.workers import Workers
from hyctas_mm.evaluators import Job, Outcome
from hyctas_mm.search.driver import SearchError

RNG = np.random.default_rng(0)
ARCHS: list[Architecture] = [SearchSpace(layers=4, base_channels=2).sample(RNG) for _ in range(3)]
JOBS = [Job(arch, {}) for arch in ARCHS]
Error = tuple[type[Exception], str]
GOOD = [50.0, 51.0, 52.0]


class Raising:
    """Judges by order, but for the second candidate, whose evaluation raises one error after another first."""

    def __init__(self, *errors: Error) -> None:
        self.errors = list(errors)
        self.taken: list[weakref.ref[Any]] = []

    def evaluate(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        for job in jobs:
            number = JOBS.index(job)
            maps = torch.zeros(100)
            self.taken.append(weakref.ref(maps))
            if number == 1 and self.errors:
                kind, message = self.errors.pop(0)
                raise kind(message)
            yield Outcome(dict(mIoU=GOOD[number]))


def outcomes(evaluator: Any, folder: Path) -> list[float | str]:
    return [outcome.metrics.get('mIoU', outcome.failure) for outcome in Workers(evaluator, folder).evaluate(JOBS)]


NO_MEMORY = [
    (torch.cuda.OutOfMemoryError, 'CUDA out of memory. Tried to allocate 2 GiB'),
    (RuntimeError, 'CUDA error: out of memory'),
]


@pytest.mark.parametrize('error', NO_MEMORY, ids=['allocator', 'driver'])
def test_without_memory_a_candidate_is_tried_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Error
) -> None:
    evaluator, freed = Raising(error), []
    monkeypatch.setattr(
        torch.cuda, 'empty_cache', lambda: freed.append([maps() for maps in evaluator.taken if maps() is not None])
    )
    assert outcomes(evaluator, tmp_path) == GOOD
    assert freed == [[]], 'nothing of the failed evaluation is held when memory is given back'


def test_without_memory_twice_a_candidate_fails(tmp_path: Path) -> None:
    assert outcomes(Raising(*NO_MEMORY), tmp_path) == [50.0, 'CUDA error: out of memory', 52.0]


def test_another_error_is_the_candidates_own(tmp_path: Path) -> None:
    assert outcomes(Raising((RuntimeError, 'a hole in the data\nsecond line')), tmp_path) == [
        *(50.0, 'a hole in the data', 52.0)
    ]


@pytest.mark.parametrize(
    'message', ['CUDA error: an illegal memory access was encountered', 'cuDNN error: CUDNN_STATUS_EXECUTION_FAILED']
)
def test_a_gpu_that_failed_ends_the_process_and_marks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, message: str
) -> None:
    workers = Workers(Raising((RuntimeError, message)), tmp_path)
    found = workers.evaluate(JOBS)
    assert next(found).metrics == dict(mIoU=50.0)
    with pytest.raises(SearchError, match=f'the GPU of process 0 failed at candidate {ARCHS[1].archid}.*--resume'):
        next(found)
    workers.size = 2
    monkeypatch.setattr(workers, '_broadcast', lambda order: pytest.fail('the others are at another collective'))
    workers.stop()
