"""Scheduled drop path (paper section 4.5, Table 9)."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from hyctas_mm.errors import BadValue
from hyctas_mm.models.backbones import HyCTASBackbone
from hyctas_mm.registry import HOOKS


@HOOKS.register_module()
class ScheduledDropPathHook(Hook):
    """Raises the backbone's drop-path probability linearly from 0 to ``max_prob`` over the training.

    What is dropped, image by image, is the path of an op beside its bypass: the zoomed convolutions of a light
    convolution, the attention of an attention op. Ops without a bypass (plain convolutions, light convolutions that go
    down) are never dropped, so a chain of any length survives.

    NOTE(release): the release drops nothing, as its function's result is discarded, and would have dropped whole cells.
    It also raises the probability once an epoch, this hook at every step.

    Args:
        max_prob: Probability at the end, from 0 to below 1. The paper tries 0.1 and 0.2 and keeps 0.2.

    Raises:
        ValueError: If ``max_prob`` is out of range, or the model has no ``HyCTASBackbone``.

    Example:
        >>> custom_hooks = [dict(type='ScheduledDropPathHook', max_prob=0.2)]
    """

    def __init__(self, max_prob: float = 0.2) -> None:
        if not 0 <= max_prob < 1:
            raise BadValue(
                f'ScheduledDropPathHook: max_prob={max_prob!r}; expected a probability from 0 to below 1, e.g. 0.2'
            )
        self.max_prob = max_prob

    def before_train(self, runner: Runner) -> None:
        affected = sum(backbone.set_drop_path(0.0) for backbone in _backbones(runner))
        if not affected:
            runner.logger.warning(
                'ScheduledDropPathHook: no op of this architecture has a bypass, so nothing will be dropped'
            )

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        for backbone in _backbones(runner):
            backbone.set_drop_path(self.max_prob * runner.iter / runner.max_iters)


def _backbones(runner: Runner) -> list[HyCTASBackbone]:
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    backbones = [module for module in model.modules() if isinstance(module, HyCTASBackbone)]
    if not backbones:
        raise BadValue(
            f'ScheduledDropPathHook: {type(model).__name__} has no HyCTASBackbone; remove the hook from custom_hooks'
        )
    return backbones
