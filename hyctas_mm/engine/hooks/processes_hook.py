"""What a training on several processes needs beside its gradients."""

from __future__ import annotations

from typing import Any

from mmengine.dist import all_reduce_params, get_world_size
from mmengine.hooks import CheckpointHook, SyncBuffersHook
from mmengine.runner import Runner

from hyctas_mm.errors import BadValue
from hyctas_mm.registry import HOOKS


@HOOKS.register_module()
class ProcessesHook(SyncBuffersHook):
    """Averages batch norm's statistics over the processes before each validation and checkpoint, and refuses more
    processes than images.

    Processes keep plain batch norm's running statistics to themselves while they train, each those of its own images;
    mmengine's hook averages them before a validation only, so that a checkpoint would hold the first process's. Part of
    every training config of ours; without a launcher it does nothing.

    Raises:
        ValueError: If there are more processes than images.
    """

    def before_train_epoch(self, runner: Runner) -> None:
        images = len(runner.train_dataloader.dataset)
        if get_world_size() > images:
            raise BadValue(
                f'train_dataloader: {get_world_size()} processes for {images} image(s); expected an image or more for '
                'each process: start fewer'
            )

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        last = self.is_last_train_iter(runner)
        checkpoints = (h for h in runner.hooks if isinstance(h, CheckpointHook) and not h.by_epoch)
        if self.distributed and any(last or self.every_n_train_iters(runner, h.interval) for h in checkpoints):
            all_reduce_params(runner.model.buffers(), op='mean')
