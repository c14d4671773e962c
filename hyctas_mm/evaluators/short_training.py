"""Candidates judged by short trainings of their own, most of which end early."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.runner import Runner
from torch import nn

from hyctas_mm.archs import Architecture
from hyctas_mm.engine.hooks.sample_arch_hook import supernet_space
from hyctas_mm.engine.scoring import seeded, training_threads
from hyctas_mm.errors import BadValue
from hyctas_mm.evaluators.course import Course, Training
from hyctas_mm.evaluators.inherited_weights import InheritedWeights
from hyctas_mm.evaluators.trained_networks import check_trains_on_others, training_of
from hyctas_mm.models.subnet import build_subnet, copy_subnet_weights, set_arch
from hyctas_mm.registry import EVALUATORS
from hyctas_mm.search.archive import Candidate
from hyctas_mm.search.evaluator import Job, Outcome
from hyctas_mm.search.objectives import COSTS, score_of
from hyctas_mm.search.promotion import Promotion, rung_name

FOLDER = 'short_training'


@EVALUATORS.register_module()
class ShortTraining(InheritedWeights):
    """Trains each candidate by the search's ``subnet_config`` and scores it after a few steps; only what is good by
    then is trained on.

    The learning rate falls as in a training to the last rung, wherever a candidate stops. All candidates begin with the
    same seed and see the same images in the same order. A score is that of the last rung reached, batch norm
    recalibrated; those on the way are in the archive too, as ``mIoU_at_30``. Who stops early keeps a score that is
    lower because it was trained less. Who is trained on: :class:`~hyctas_mm.search.promotion.Promotion`.

    Weights are kept in ``WORK_DIR/short_training``, from which a killed search goes on at the rung it was at. The
    ``custom_hooks`` of the ``subnet_config`` are left out.

    NOTE(paper): the paper scores inherited weights and trains no candidate.

    Args:
        runner: See :class:`InheritedWeights`.
        supernet: Checkpoint of a supernet, whose weights candidates begin with; None for training from scratch.
        rungs: After how many steps candidates are scored, ascending.
        reduction: Of how many candidates one is trained on to the next rung.
        neighbours: Candidates of like cost that one is compared with.
        seed: Of weights, images and dropout.
        options: Overrides of the ``subnet_config``, e.g. those that leave the images out which the search scores on.
        **scoring: ``calibration_batches`` and ``amp``, of scores alone: see :class:`InheritedWeights`.

    Raises:
        ValueError: For a wrong argument, or if networks would be trained on images that they are scored on.

    Example:
        >>> evaluator = dict(type='ShortTraining', options={'train_dataloader.dataset.part': 'fit'})
    """

    def __init__(
        self,
        runner: Runner,
        supernet: str | Path | None = None,
        rungs: Sequence[int] = (30, 100, 300),
        reduction: int = 3,
        neighbours: int = 8,
        seed: int = 0,
        options: Mapping[str, Any] = {},
        **scoring: Any,
    ) -> None:
        if not rungs or any(type(r) is not int or r < 1 for r in rungs) or sorted(set(rungs)) != list(rungs):
            raise BadValue(f'train_cfg.evaluator: rungs={rungs!r}; expected ascending numbers of steps, e.g. [30, 100]')
        for name, value in dict(reduction=reduction, neighbours=neighbours).items():
            if type(value) is not int or value < 2:
                raise BadValue(f'train_cfg.evaluator: {name}={value!r}; expected a whole number from 2 up')
        super().__init__(runner, supernet, **scoring)
        cfg = runner.train_loop.subnet_config.copy()
        cfg.merge_from_dict(dict(options))
        self._course = Course(cfg, rungs[-1], seed)
        check_trains_on_others(self._course.loader.dataset, runner.val_loop.dataloader.dataset)
        self._inherits, self._rungs, self._seed = supernet is not None, list(rungs), seed
        self._base_channels = supernet_space(self._supernet).base_channels
        objectives = runner.train_loop.objectives
        costs = tuple(o for o in objectives if o.name in COSTS)
        self._promotion = Promotion(score_of(objectives), costs, reduction, neighbours)
        self._folder = Path(runner.work_dir) / FOLDER
        self._before: Sequence[Candidate] = ()
        training = {k: v for k, v in training_of(self._course.cfg).items() if k in _DECIDES}
        self._settings |= dict(
            rungs=list(rungs),
            reduction=reduction,
            neighbours=neighbours,
            seed=seed,
            threads=training_threads(self.scorer.device),
            training=json.dumps(training, sort_keys=True),
        )

    def evaluate(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Trains one after the other, each until it is not good enough."""
        name = self._promotion.score.name
        for job in jobs:
            training, scores = self._open(job.arch)
            on_the_way: dict[str, float] = {}
            for rung in self._rungs:
                if str(rung) not in scores:
                    self._climb(training, rung, scores, job.arch.archid)
                found = scores[str(rung)]
                on_the_way[rung_name(name, rung)] = found[name]
                if not self._promotion.promotes(job.arch.archid, job.costs, found[name], rung, self._before):
                    break
            yield Outcome({**found, **on_the_way})

    def network(self, arch: Architecture) -> nn.Module:
        """The network as it was scored last, in eval mode; trained to the last rung if its weights were lost."""
        training, scores = self._open(arch)
        if not scores:
            self._climb(training, self._rungs[-1], scores, arch.archid)
        return self.scorer.recalibrated(training.network.eval())

    def observe(self, candidates: Sequence[Candidate]) -> None:
        """Sets the bars by the candidates of complete generations."""
        self._before = candidates

    def _open(self, arch: Architecture) -> tuple[Training, dict[str, dict[str, float]]]:
        """A network's training where it was left, and its scores by rung."""
        with seeded(self._seed):
            network = build_subnet(self._course.cfg.model, arch, self._base_channels)
            if not self._inherits:
                network.init_weights()
        if self._inherits:
            set_arch(self._supernet, arch)
            copy_subnet_weights(self._supernet, network)
        network = network.to(self.scorer.device)
        training, path = Training(self._course, network), self._path(arch.archid)
        if path.is_file():
            state = torch.load(path, map_location=self.scorer.device, weights_only=True)
            if state['identity'] == self._identity():  # else of another search that was in this folder
                training.load(state)
                return training, state['scores']
        return training, {}

    def _climb(self, training: Training, rung: int, scores: dict[str, dict[str, float]], archid: str) -> None:
        """Trains to a rung, scores there, and keeps both."""
        training.train(rung)
        scores[str(rung)] = self.scorer.score(self.scorer.recalibrated(training.network))
        path = self._path(archid)
        path.parent.mkdir(exist_ok=True)
        torch.save(dict(training.state(), identity=self._identity(), scores=scores), path.with_suffix('.tmp'))
        os.replace(path.with_suffix('.tmp'), path)

    def _path(self, archid: str) -> Path:
        return self._folder / f'{archid}.pth'

    def _identity(self) -> str:
        return json.dumps(self.identity(), sort_keys=True)


_DECIDES = ('model', 'optim_wrapper', 'param_scheduler', 'train_dataloader', 'train_cfg')
"""The keys of a config by which a training goes, without its hooks."""
