"""Trainings of many networks by one recipe, each of which can be left off and gone on with, on any process."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS
from mmengine.runner import Runner
from torch import nn

from hyctas_mm.engine.scoring import Batch, fixed_kernels, load_batches, seeded
from hyctas_mm.evaluators.trained_networks import with_iters


class Course:
    """What all networks are trained on: batches by number, the same for each.

    mmengine's Runner would divide the images among the processes of a search.

    Args:
        cfg: Training config of any fixed network; its hooks are left out.
        steps: Length that its schedule is scaled to.
        seed: Of images and dropout.

    Attributes:
        cfg: The config with that schedule.
        loader: Its data loader.

    Raises:
        ValueError: If the schedule does not count steps.
    """

    def __init__(self, cfg: Config, steps: int, seed: int) -> None:
        self.cfg, self.seed = with_iters(cfg, steps), seed
        loader = dict(cfg.train_dataloader.to_dict(), num_workers=0, persistent_workers=False)
        loader.pop('prefetch_factor', None)
        self.loader = Runner.build_dataloader(loader)

    def batches(self, first: int) -> Iterator[Batch]:
        """The batch of step ``first`` and all after it; each is drawn and augmented by its number alone."""
        number, size, step = len(self.loader.dataset), self.loader.batch_size, first
        while True:
            places = range(step * size, (step + 1) * size)
            images = [self._order(place // number)[place % number] for place in places]
            with seeded(self._seed_of(step)):
                batch = next(load_batches(self.loader, images))
            yield batch
            step += 1

    def dropout(self, step: int) -> Any:
        """A context in which a step draws what it draws at random."""
        return seeded(self._seed_of(step))

    def _seed_of(self, step: int) -> int:
        return 1_000_003 * self.seed + step

    def _order(self, round_: int) -> np.ndarray:
        """The images of a round in the order in which they are seen."""
        return np.random.default_rng([self.seed, round_]).permutation(len(self.loader.dataset))


class Training:
    """One network's training.

    Args:
        course: The recipe.
        network: The network as it begins.

    Attributes:
        network: The network as it is.
        step: Steps done.
    """

    def __init__(self, course: Course, network: nn.Module) -> None:
        self._course, self.step = course, 0
        self.network = network.to(memory_format=torch.channels_last)
        self._optimizer = build_optim_wrapper(self.network, copy.deepcopy(course.cfg.optim_wrapper))
        schedulers = course.cfg.get('param_scheduler') or []
        self._schedulers = [
            PARAM_SCHEDULERS.build(dict(scheduler), default_args=dict(optimizer=self._optimizer))
            for scheduler in (schedulers if isinstance(schedulers, list) else [schedulers])
        ]

    def train(self, until: int) -> None:
        """Goes on until so many steps are done."""
        self.network.train()
        for batch in islice(self._course.batches(self.step), until - self.step):
            with self._course.dropout(self.step), fixed_kernels():
                self.network.train_step(batch, self._optimizer)
            for scheduler in self._schedulers:
                scheduler.step()
            self.step += 1

    def state(self) -> dict[str, Any]:
        """All that :meth:`load` needs, tensors and plain types."""
        return dict(
            step=self.step,
            network=self.network.state_dict(),
            optimizer=self._optimizer.state_dict(),
            schedulers=[scheduler.state_dict() for scheduler in self._schedulers],
        )

    def load(self, state: dict[str, Any]) -> None:
        """Goes to where another training of the same network was."""
        self.step = state['step']
        self.network.load_state_dict(state['network'])
        self._optimizer.load_state_dict(state['optimizer'])
        for scheduler, found in zip(self._schedulers, state['schedulers'], strict=True):
            scheduler.load_state_dict(found)
