"""Scores and losses along a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner, ValLoop

from hyctas_mm.errors import BadValue
from hyctas_mm.files import write_json
from hyctas_mm.registry import HOOKS

LEARNING_CURVE = 'learning_curve.json'


@HOOKS.register_module()
class LearningCurveHook(Hook):
    """Writes ``learning_curve.json`` into the work dir: the loss of each step, and scores after some of them.

    Args:
        steps: After how many steps to score, ascending.
        dataloaders: By name the images to score on, beside those of the validation (``'val'``); each is scored by the
            config's ``val_evaluator``.
        loss: Name of the loss that is written down, e.g. that of the main head alone.

    Raises:
        ValueError: If the training ends before the last of the steps, or has no loss of that name.

    Example:
        >>> custom_hooks = [dict(type='LearningCurveHook', steps=[30, 75, 150, 300])]
    """

    priority = 'VERY_LOW'

    def __init__(self, steps: Sequence[int], dataloaders: Mapping[str, Any] = {}, loss: str = 'decode.loss_ce') -> None:
        self.steps, self.loss = list(steps), loss
        self._loaders = dict(dataloaders)

    def before_train(self, runner: Runner) -> None:
        if self.steps[-1] > runner.max_iters:
            raise BadValue(f'LearningCurveHook: steps={self.steps} in a training of {runner.max_iters} steps')
        self._losses: list[float] = []
        self._scores: dict[str, dict[str, dict[str, float]]] = {}
        evaluator = runner.cfg.val_evaluator
        self._loops = {'val': runner.val_loop} | {
            name: ValLoop(runner, loader, evaluator) for name, loader in self._loaders.items()
        }

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Mapping[str, Any] | None = None
    ) -> None:
        if not outputs or self.loss not in outputs:
            raise BadValue(f'LearningCurveHook: loss={self.loss!r}; expected one of {", ".join(outputs or ())}')
        self._losses.append(round(float(outputs[self.loss]), 5))
        if runner.iter + 1 in self.steps:
            with torch.random.fork_rng():  # the training goes on as it would have without
                self._scores[str(runner.iter + 1)] = {name: self._score(loop) for name, loop in self._loops.items()}
            runner.model.train()
            path = Path(runner.work_dir) / LEARNING_CURVE
            write_json(path, dict(scores=self._scores, loss=self.loss, losses=self._losses))

    @staticmethod
    @torch.no_grad()
    def _score(loop: Any) -> dict[str, float]:
        model = loop.runner.model.eval()
        for batch in loop.dataloader:
            loop.evaluator.process(data_samples=model.val_step(batch), data_batch=batch)
        metrics = loop.evaluator.evaluate(len(loop.dataloader.dataset))
        return {name.split('/')[-1]: round(float(value), 4) for name, value in metrics.items()}
