"""Candidates judged by training alone: what every other evaluator is measured against, and by far the dearest."""

from __future__ import annotations

import copy
import hashlib
import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.dist import get_world_size
from mmengine.runner import Runner
from torch import nn

from hyctas_mm.archs import Architecture
from hyctas_mm.engine.checkpoint import read_checkpoint
from hyctas_mm.engine.export import subnet_config
from hyctas_mm.engine.hooks.sample_arch_hook import supernet_space
from hyctas_mm.engine.progress import quiet_runners
from hyctas_mm.engine.retraining import retrain
from hyctas_mm.errors import BadValue
from hyctas_mm.evaluators.trained_networks import TrainedNetworks, check_trains_on_others, training_of
from hyctas_mm.registry import DATASETS, EVALUATORS, MODELS
from hyctas_mm.search.archive import Candidate
from hyctas_mm.search.evaluator import Job, Outcome


@EVALUATORS.register_module()
class FromScratch:
    """Trains each candidate with the search's ``subnet_config`` and scores it on the search's validation images.

    What is trained lies in ``WORK_DIR/from_scratch`` and is not trained again. One process only: each training would
    take part of the images.

    Args:
        runner: Its train loop is the search.
        iters: Steps of each training, its schedule scaled with them; those of the ``subnet_config`` if None.
        seeds: Seeds of the trainings; the score is their mean.
        options: Overrides of the ``subnet_config``, e.g. those that leave the images out which the search scores on.

    Raises:
        ValueError: If a network would be trained on images that it is scored on, or there are several processes.

    Example:
        >>> evaluator = dict(type='FromScratch', iters=300, options={'train_dataloader.dataset.part': 'fit'})
    """

    def __init__(
        self, runner: Runner, iters: int | None = None, seeds: Sequence[int] = (0,), options: Mapping[str, Any] = {}
    ) -> None:
        if get_world_size() > 1:
            raise BadValue(
                'train_cfg.evaluator: FromScratch trains in one process; start the search without a launcher'
            )
        cfg = runner.train_loop.subnet_config.copy()
        cfg.merge_from_dict(dict(options))
        for key in ('val', 'test'):
            cfg[f'{key}_dataloader'], cfg[f'{key}_evaluator'] = copy.deepcopy(
                (runner.cfg.val_dataloader, runner.cfg.val_evaluator)
            )
        self._seeds, self._space = tuple(seeds), supernet_space(runner.model)
        self._networks = TrainedNetworks(Path(runner.work_dir) / 'from_scratch', cfg, self._space.base_channels, iters)
        check_trains_on_others(DATASETS.build(cfg.train_dataloader.dataset), runner.val_loop.dataloader.dataset)

    def identity(self) -> dict[str, Any]:
        """SHA-1 of the training config, in which the images and the steps are, and the seeds."""
        text = json.dumps(training_of(self._networks.cfg), sort_keys=True)
        return dict(training_sha1=hashlib.sha1(text.encode()).hexdigest(), seeds=list(self._seeds))

    def evaluate(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Trains one after the other."""
        for job in jobs:
            folder = self._networks.folder_of(job.arch)
            with quiet_runners():
                found = [retrain(folder, seed, num_pictures=0) for seed in self._seeds]
            names = {name.split('/')[-1]: name for name in found[0] if name != 'iters'}
            yield Outcome(
                {short: statistics.fmean(metrics[name] for metrics in found) for short, name in names.items()}
            )

    def network(self, arch: Architecture) -> nn.Module:
        """The network with the weights of the first seed's training, which is done if it was not."""
        folder = self._networks.folder_of(arch)
        with quiet_runners():
            retrain(folder, self._seeds[0], num_pictures=0)
        network: nn.Module = MODELS.build(subnet_config(self._networks.cfg, arch, self._space.base_channels).model)
        network.load_state_dict(read_checkpoint(folder / 'retrained.pth')['state_dict'])
        return network.eval()

    def observe(self, candidates: Sequence[Candidate]) -> None:
        """Nothing is learnt from other candidates."""
