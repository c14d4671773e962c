"""Random sub-network training in which every output combination is trained equally often."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from hyctas_mm.archs import Architecture, SearchSpace
from hyctas_mm.engine.hooks.sample_arch_hook import SampleArchHook, supernet_space
from hyctas_mm.models.subnet import set_arch
from hyctas_mm.registry import HOOKS


@HOOKS.register_module()
class BalancedSampleArchHook(SampleArchHook):
    """:class:`SampleArchHook` with as many steps for each combination of output strides.

    The head has an aggregation for each of the seven combinations. By the paper's prior half of the steps have all
    three outputs and one in fifteen has stride 8 alone, so scores of different combinations are of weights that were
    trained for different times. Here steps come in blocks of as many as there are combinations; each takes every
    combination once, in a random order. All else is drawn as ever.

    NOTE(paper): it draws the number of branches with probabilities 0.2, 0.3, 0.5.

    Args:
        seed: Seed of the architectures.

    Example:
        >>> custom_hooks = [dict(type='BalancedSampleArchHook', seed=0)]  # in place of SampleArchHook
    """

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        set_arch(model, balanced_arch(supernet_space(model), self.seed, runner.iter))


def balanced_arch(space: SearchSpace, seed: int, step: int) -> Architecture:
    """The architecture of a step, from 0; over each block of steps every output combination comes once."""
    combinations = space.end_combinations()
    block, position = divmod(step, len(combinations))
    order = np.random.default_rng([seed, block]).permutation(len(combinations))
    wanted = combinations[order[position]]
    rng = np.random.default_rng([seed, step, 1])
    while True:  # one in three at least
        arch = space.sample(rng, len(wanted))
        if tuple(sorted(arch.output_strides)) == wanted:
            return arch
