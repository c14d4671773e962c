"""Evaluators that are quick, or that fail, registered as a user's own are; and searches that judge by them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import get_rank
from mmengine.runner import Runner

from hyctas_mm.engine import NSGA2SearchLoop
from hyctas_mm.evaluators import InheritedWeights, Job, Outcome
from hyctas_mm.registry import EVALUATORS, LOOPS

LEARNING: dict[str, Any] = dict(
    steps=2,
    horizon=4,
    options={
        'train_dataloader.batch_size': 2,
        'train_dataloader.dataset.indices': list(range(8, 24)),
        'train_dataloader.dataset.pipeline.4.crop_size': (64, 64),
        'model.data_preprocessor.size': (64, 64),
    },
)
"""Quick options of our evaluator that trains; it keeps the promises of all evaluators."""


def learning(cfg: Config) -> Config:
    """A search of four candidates by the evaluator that trains."""
    cfg.train_cfg.update(population=2, generations=2, branches=(1,), num_chosen=1, objectives=['train_loss', 'macs_g'])
    return judged_by('ShortTraining', cfg, **LEARNING)


def judged_by(kind: str, cfg: Config, **options: Any) -> Config:
    """A search config of ours with another evaluator, which takes the supernet."""
    loop = cfg.train_cfg
    taken = {name: loop.pop(name) for name in ('supernet', 'calibration_batches', 'amp') if name in loop}
    loop.update(type='SearchLoop', evaluator=dict(type=kind, **taken, **options))
    return cfg


@EVALUATORS.register_module()
class ConstantScore(InheritedWeights):
    """A score without images: for what has nothing to do with them."""

    def evaluate(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        for _ in jobs:
            yield Outcome(dict(aAcc=50.0, mAcc=40.0, mIoU=30.0))


@LOOPS.register_module()
class ConstantScoreLoop(NSGA2SearchLoop):
    """Our search, with a constant score."""

    def __init__(self, runner: Runner, dataloader: Any, **options: Any) -> None:
        super().__init__(runner, dataloader, **options)
        self.evaluator_cfg['type'] = 'ConstantScore'


@EVALUATORS.register_module()
class ScoreOfId(InheritedWeights):
    """Scores by id, so that a search spends its time on files and waiting.

    Makes the file ``started`` beside the work dir when it begins.
    """

    def __init__(self, runner: Runner, **options: Any) -> None:
        super().__init__(runner, **options)
        self.started = Path(runner.work_dir).parent / 'started'

    def evaluate(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        for job in jobs:
            self.started.touch()
            time.sleep(0.01)
            yield Outcome(dict(mIoU=int(job.arch.archid, 16) % 1000 / 10))


@EVALUATORS.register_module()
class Twice(InheritedWeights):
    """Evaluates everything twice, and fails where the outcomes differ."""

    def evaluate(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        for first, second in zip(super().evaluate(jobs), super().evaluate(jobs), strict=True):
            assert first.metrics == second.metrics
            yield first


@EVALUATORS.register_module()
class Troubled(InheritedWeights):
    """Fails now and then.

    Args:
        runner: The runner.
        trouble: ``'raise'``, ``'gpu'`` for an error as CUDA's, or ``'die'``.
        at: Which of its evaluations, from 1; None for all.
        rank: On which process, None for any.
        **options: Of :class:`InheritedWeights`.
    """

    def __init__(
        self, runner: Runner, trouble: str, at: int | None = None, rank: int | None = None, **options: Any
    ) -> None:
        super().__init__(runner, **options)
        self.trouble, self.at, self.rank, self.count = trouble, at, rank, 0

    def evaluate(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        for job in jobs:
            self.count += 1
            if self.at in (None, self.count) and self.rank in (None, get_rank()):
                if self.trouble == 'die':
                    os.kill(os.getpid(), signal.SIGKILL)
                raise RuntimeError(
                    'CUDA error: unspecified launch failure' if self.trouble == 'gpu' else 'out of memory'
                )
            yield from super().evaluate([job])
