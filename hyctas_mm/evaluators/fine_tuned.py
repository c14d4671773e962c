"""Candidates judged after a few training steps from the weights that they inherit."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from torch import nn

from hyctas_mm.archs import Architecture
from hyctas_mm.engine.scoring import digest, fixed_kernels, load_batches, seeded, training_threads
from hyctas_mm.errors import BadValue
from hyctas_mm.evaluators.inherited_weights import InheritedWeights
from hyctas_mm.models.subnet import cut_subnet
from hyctas_mm.registry import EVALUATORS


@EVALUATORS.register_module()
class FineTuned(InheritedWeights):
    """Scores what is cut out of the supernet after some steps of training.

    Weights that candidates share suit some of them better than others; a few steps of its own let each adapt. The
    images of all steps are drawn, augmented and decoded once, so every candidate sees the same ones in the same order.
    The optimizer is that of the config, its learning rate warmed up over a quarter of the steps and then taken down to
    0 by a power of 0.9.

    NOTE(paper): the paper scores inherited weights as they are.

    Args:
        runner: See :class:`InheritedWeights`; its ``train_dataloader`` gives the images of the training steps too, and
            its ``optim_wrapper`` the optimizer.
        supernet: Checkpoint of the trained supernet.
        steps: Training steps of each candidate.
        lr: Learning rate after the warm-up; that of the ``optim_wrapper`` if None.
        **options: See :class:`InheritedWeights`.

    Raises:
        ValueError: For a wrong argument.

    Example:
        >>> evaluator = dict(type='FineTuned', supernet='work_dirs/supernet/iter_4000.pth', steps=20, lr=0.01)
    """

    def __init__(
        self, runner: Runner, supernet: str | Path | None, steps: int = 20, lr: float | None = None, **options: Any
    ) -> None:
        if type(steps) is not int or steps < 1:
            raise BadValue(f'train_cfg.evaluator: steps={steps!r}; expected a whole number from 1 up')
        if lr is not None and not lr > 0:
            raise BadValue(f'train_cfg.evaluator: lr={lr!r}; expected a positive number')
        super().__init__(runner, supernet, **options)
        self._optimizer: dict[str, Any] = copy.deepcopy(runner.cfg.optim_wrapper.to_dict())
        if lr is not None:
            self._optimizer['optimizer']['lr'] = lr
        loader = runner.train_loop.dataloader
        rng = np.random.default_rng(0)
        passes = -(-steps * loader.batch_size // len(loader.dataset))
        order = np.concatenate([rng.permutation(len(loader.dataset)) for _ in range(passes)])
        with seeded(0):
            self._batches = list(load_batches(loader, order[: steps * loader.batch_size]))
        self._settings |= dict(
            steps=steps,
            threads=training_threads(self.scorer.device),
            optimizer=json.dumps(self._optimizer, sort_keys=True, default=str),
            trained_on_sha1=digest(self._batches),
        )

    def network(self, arch: Architecture) -> nn.Module:
        """The fixed network after its training steps, with recalibrated batch norm, in eval mode."""
        network = cut_subnet(self._supernet, self._model_cfg, arch)
        with seeded(0), fixed_kernels():  # of dropout
            self._tune(network.train())
        return self.scorer.recalibrated(network.eval())

    def _tune(self, network: nn.Module) -> None:
        optimizer = build_optim_wrapper(network, copy.deepcopy(self._optimizer))
        rates = [group['lr'] for group in optimizer.optimizer.param_groups]
        for step, batch in enumerate(self._batches):
            for group, rate in zip(optimizer.optimizer.param_groups, rates, strict=True):
                group['lr'] = rate * lr_factor(step, len(self._batches))
            with self.scorer.precision():
                network.train_step(copy.deepcopy(batch), optimizer)  # preprocessors change what they are given


def lr_factor(step: int, steps: int) -> float:
    """The learning rate of a step, from 0, over that after the warm-up."""
    return min(1.0, 4 * (step + 1) / steps) * (1 - step / steps) ** 0.9
