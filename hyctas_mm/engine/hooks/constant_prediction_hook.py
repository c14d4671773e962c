"""Compares a test with a prediction that is the same everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.dist import all_gather_object
from mmengine.hooks import Hook
from mmengine.runner import Runner

from hyctas_mm.evaluation.constant_prediction import ConstantPrediction


class ConstantPredictionHook(Hook):
    """Fills ``found`` with what a test predicts and what is true, in all processes alike."""

    found: ConstantPrediction

    def before_test_epoch(self, runner: Runner) -> None:
        dataset = runner.test_loop.dataloader.dataset
        self.found = ConstantPrediction(dataset.metainfo, getattr(dataset, 'ignore_index', 255))

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence[Any] | None = None
    ) -> None:
        self.found.process([sample.to_dict() for sample in outputs or ()])

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        own, *others = all_gather_object(self.found)
        for other in others:
            own.add(other)
        self.found = own
