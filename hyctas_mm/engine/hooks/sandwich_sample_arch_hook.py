"""The architectures of the sandwich rule."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from hyctas_mm.archs import Architecture, SearchSpace
from hyctas_mm.archs.extremes import largest, smallest
from hyctas_mm.engine.hooks.sample_arch_hook import SampleArchHook, supernet_space
from hyctas_mm.errors import BadValue
from hyctas_mm.models.segmentors import SandwichSegmentor
from hyctas_mm.registry import HOOKS


@HOOKS.register_module()
class SandwichSampleArchHook(SampleArchHook):
    """Hands a :class:`~hyctas_mm.models.segmentors.SandwichSegmentor` the largest, the smallest and some random
    architectures for each step.

    The sandwich rule (https://arxiv.org/abs/1903.05134) trains both ends of the space at every step. Its ends are
    sizes; ours has ops too, none of which contains another. Were the ends' ops fixed, those would be trained far more
    often than all others and their scores would be too good, so they are drawn anew at every step; see
    :mod:`hyctas_mm.archs.extremes`.

    As with :class:`SampleArchHook` the draw depends on seed and step alone.

    Args:
        num_random: Random architectures of each step, beside the largest and the smallest.
        seed: Seed of the architectures.

    Raises:
        ValueError: If ``num_random`` is negative, or the model is no ``SandwichSegmentor``.

    Example:
        >>> model = dict(type='SandwichSegmentor')
        >>> custom_hooks = [dict(type='SandwichSampleArchHook', num_random=1)]
    """

    def __init__(self, num_random: int = 1, seed: int = 0) -> None:
        super().__init__(seed)
        if num_random < 0:
            raise BadValue(f'SandwichSampleArchHook: num_random={num_random!r}; expected 0 or more')
        self.num_random = num_random

    def before_train(self, runner: Runner) -> None:
        super().before_train(runner)
        model = _unwrapped(runner)
        if not isinstance(model, SandwichSegmentor):
            raise BadValue(
                f"SandwichSampleArchHook needs model.type='SandwichSegmentor', got {type(model).__name__}; set it, or "
                'use SampleArchHook'
            )

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        model = _unwrapped(runner)
        model.step_archs = self.archs_of(supernet_space(model), runner.iter)

    def after_train(self, runner: Runner) -> None:
        _unwrapped(runner).step_archs = ()

    def archs_of(self, space: SearchSpace, step: int) -> tuple[Architecture, ...]:
        """The architectures of a step, the largest first."""
        # 0, 1: fair_arch's
        rngs = [np.random.default_rng([self.seed, step, 2 + number]) for number in range(2 + self.num_random)]
        return (largest(space, rngs[0]), smallest(space, rngs[1]), *(space.sample(rng) for rng in rngs[2:]))


def _unwrapped(runner: Runner) -> Any:
    return runner.model.module if is_model_wrapper(runner.model) else runner.model
