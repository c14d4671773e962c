"""Candidates judged by the loss of a short training of their own."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.runner import Runner
from torch import nn

from hyctas_mm.archs import Architecture
from hyctas_mm.engine.hooks.sample_arch_hook import supernet_space
from hyctas_mm.engine.scoring import seeded, training_threads
from hyctas_mm.errors import BadValue
from hyctas_mm.evaluators.course import Course
from hyctas_mm.evaluators.inherited_weights import InheritedWeights
from hyctas_mm.evaluators.trained_networks import check_trains_on_others, training_of
from hyctas_mm.models.subnet import build_subnet, copy_subnet_weights, set_arch
from hyctas_mm.registry import EVALUATORS
from hyctas_mm.search.evaluator import Job, Outcome
from hyctas_mm.search.objectives import TRAIN_LOSS


@EVALUATORS.register_module()
class ShortTraining(InheritedWeights):
    """Trains each candidate for some steps by the search's ``subnet_config`` and gives it the mean loss of its main
    head over all of them, ``train_loss``: an objective that orders candidates better than their scores at that step
    (docs/results/evidence_idd_lite.md).

    All begin with the same seed and see the same images in the same order, and the learning rate falls as in a training
    of ``horizon`` steps. The scores after the last step, batch norm recalibrated, are in the archive too. No supernet
    is needed: the ``model`` of the search's config names the space. The ``custom_hooks`` of the ``subnet_config`` are
    left out.

    NOTE(paper): the paper scores inherited weights and trains no candidate.

    Args:
        runner: See :class:`InheritedWeights`.
        supernet: Checkpoint of a supernet, whose weights candidates begin with; None for training from scratch.
        steps: Steps of each training.
        horizon: Length of the training that the schedule is scaled to.
        seed: Of weights, images and dropout.
        options: Overrides of the ``subnet_config``, e.g. those that leave the images out which the search scores on.
        **scoring: ``calibration_batches`` and ``amp``, of scores alone: see :class:`InheritedWeights`.

    Raises:
        ValueError: For a wrong argument, or if networks would be trained on images that they are scored on.

    Example:
        >>> objectives = ['train_loss', 'latency_ms']
        >>> evaluator = dict(type='ShortTraining', options={'train_dataloader.dataset.part': 'fit'})
    """

    def __init__(
        self,
        runner: Runner,
        supernet: str | Path | None = None,
        steps: int = 75,
        horizon: int = 300,
        seed: int = 0,
        options: Mapping[str, Any] = {},
        **scoring: Any,
    ) -> None:
        if any(type(n) is not int for n in (steps, horizon)) or not 1 <= steps <= horizon:
            raise BadValue(
                f'train_cfg.evaluator: steps={steps!r}, horizon={horizon!r}; expected whole numbers from 1 up, the '
                'horizon no shorter, e.g. 75 and 300'
            )
        super().__init__(runner, supernet, **scoring)
        cfg = runner.train_loop.subnet_config.copy()
        cfg.merge_from_dict(dict(options))
        self._course = Course(cfg, horizon, seed)
        check_trains_on_others(self._course.loader.dataset, runner.val_loop.dataloader.dataset)
        self._inherits, self._steps, self._seed = supernet is not None, steps, seed
        self._base_channels = supernet_space(self._supernet).base_channels
        training = {k: v for k, v in training_of(self._course.cfg).items() if k in _DECIDES}
        self._settings |= dict(
            steps=steps,
            horizon=horizon,
            seed=seed,
            threads=training_threads(self.scorer.device),
            training=json.dumps(training, sort_keys=True),
        )

    def evaluate(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Trains one after the other."""
        for job in jobs:
            network, losses = self._trained(job.arch)
            scores = self.scorer.score(self.scorer.recalibrated(network))
            yield Outcome({TRAIN_LOSS: statistics.fmean(losses), **scores})

    def network(self, arch: Architecture) -> nn.Module:
        """The network as it was scored, trained again, in eval mode."""
        return self.scorer.recalibrated(self._trained(arch)[0].eval())

    def _trained(self, arch: Architecture) -> tuple[nn.Module, list[float]]:
        """A network after its steps, and the loss of each."""
        with seeded(self._seed):
            network = build_subnet(self._course.cfg.model, arch, self._base_channels)
            if not self._inherits:
                network.init_weights()
        if self._inherits:
            set_arch(self._supernet, arch)
            copy_subnet_weights(self._supernet, network)
        network = network.to(self.scorer.device)
        return network, self._course.train(network, self._steps)


_DECIDES = ('model', 'optim_wrapper', 'param_scheduler', 'train_dataloader', 'train_cfg')
"""The keys of a config by which a training goes, without its hooks."""
