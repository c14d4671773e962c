"""Short trainings of many networks by one recipe, on any process."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS
from mmengine.runner import Runner
from torch import nn

from hyctas_mm.engine.gradient_search_loop import main_losses
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

    def train(self, network: nn.Module, steps: int) -> list[float]:
        """Trains a network from its first step on.

        Returns:
            The loss of its main heads in each step.
        """
        network.to(memory_format=torch.channels_last).train()
        optimizer = build_optim_wrapper(network, copy.deepcopy(self.cfg.optim_wrapper))
        schedulers = self.cfg.get('param_scheduler') or []
        schedulers = [
            PARAM_SCHEDULERS.build(dict(scheduler), default_args=dict(optimizer=optimizer))
            for scheduler in (schedulers if isinstance(schedulers, list) else [schedulers])
        ]
        losses = []
        for step, batch in zip(range(steps), self.batches(0), strict=False):
            with seeded(self._seed_of(step)), fixed_kernels():  # dropout
                found = network.train_step(batch, optimizer)
            losses.append(
                sum(float(v.detach()) for name, v in main_losses(found).items() if 'loss' in name and name != 'loss')
            )
            for scheduler in schedulers:
                scheduler.step()
        return losses

    def _seed_of(self, step: int) -> int:
        return 1_000_003 * self.seed + step

    def _order(self, round_: int) -> np.ndarray:
        """The images of a round in the order in which they are seen."""
        return np.random.default_rng([self.seed, round_]).permutation(len(self.loader.dataset))
