"""Random sub-network training in which every op of a place is trained equally often."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from hyctas_mm.archs import SKIP, Architecture, Cell, SearchSpace
from hyctas_mm.engine.hooks.sample_arch_hook import SampleArchHook, supernet_space
from hyctas_mm.models.subnet import set_arch
from hyctas_mm.registry import HOOKS


@HOOKS.register_module()
class FairSampleArchHook(SampleArchHook):
    """:class:`SampleArchHook` with strict fairness among ops (FairNAS, https://arxiv.org/abs/1907.01845).

    Steps come in blocks of as many as there are computing ops. Within a block the skeleton stays (branches, depth,
    places to go down, shared cells, drawn from the paper's prior), and each cell takes every op exactly once, in a
    random order of its own. Widths are drawn at every step. NOTE: skips have no weights to be trained; they are drawn
    with the skeleton, as depth.

    As with its parent the draw depends on seed and step alone: all ranks agree, and nothing needs to be kept to resume.
    Unlike in FairNAS each step updates the weights, as averaging over a block would make it one long step.

    Args:
        seed: Seed of the architectures.

    Example:
        >>> custom_hooks = [dict(type='FairSampleArchHook', seed=0)]  # in place of SampleArchHook
        >>> model_wrapper_cfg = dict(type='SupernetDataParallel')
    """

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        set_arch(model, fair_arch(supernet_space(model), self.seed, runner.iter))


def fair_arch(space: SearchSpace, seed: int, step: int) -> Architecture:
    """The architecture of a step; over each block of steps every cell of the block's skeleton has every computing op
    once.

    Args:
        space: The search space.
        seed: Seed.
        step: Number of the step, from 0.
    """
    ops = [op for op in space.ops if op != SKIP]
    block, position = divmod(step, len(ops))
    block_rng = np.random.default_rng([seed, block])
    # a last 0 would be no difference: [seed, n, 0] is numpy's [seed, n]
    step_rng = np.random.default_rng([seed, step, 1])
    skeleton = space.sample(block_rng)
    cells = {}
    for placed in skeleton.cells:
        op = ops[block_rng.permutation(len(ops))[position]]
        cells[placed.name] = Cell(op, int(step_rng.choice(space.widths)), placed.cell.down)
    return skeleton.with_cells(cells)
