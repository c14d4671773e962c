"""One line of progress in place of the log, for runs that a person watches."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from hyctas_mm.engine.progress import Progress
from hyctas_mm.registry import HOOKS


@HOOKS.register_module()
class ProgressHook(Hook):
    """Shows the steps of a training, or the candidates of a search, with the time left.

    Args:
        label: What is being done, e.g. ``'supernet'``.
    """

    priority = 'VERY_LOW'

    def __init__(self, label: str) -> None:
        self.label = label
        self.progress: Progress | None = None

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        loss = (outputs or {}).get('loss')
        self.show(runner.iter + 1, runner.max_iters, '' if loss is None else f'loss {float(loss):.3f}')

    def show(self, done: int, total: int, note: str) -> None:
        """Says that ``done`` of ``total`` steps are done; the search calls this for each candidate."""
        if self.progress is None:
            self.progress = Progress(self.label, total, done - 1)
        self.progress.update(done, note)
