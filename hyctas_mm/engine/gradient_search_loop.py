"""The search by gradients as a train loop."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.runner import Runner
from torch import Tensor, nn

from hyctas_mm.archs import Architecture
from hyctas_mm.engine.choices import Choices
from hyctas_mm.engine.cost_losses import CostLoss
from hyctas_mm.engine.gradient_search import GradientSearch
from hyctas_mm.engine.scoring import check_disjoint, fixed_kernels, image_paths, load_batches, seeded
from hyctas_mm.engine.search_loop import SearchLoop
from hyctas_mm.errors import BadValue
from hyctas_mm.files import write_json
from hyctas_mm.models.alternatives import Alternatives
from hyctas_mm.models.subnet import searchable_parts, set_arch
from hyctas_mm.registry import LOOPS
from hyctas_mm.search.driver import Generation
from hyctas_mm.search.folder import CHOICES

SAVE_EVERY = 20
"""Steps after which the state is written."""


@LOOPS.register_module()
class GradientSearchLoop(SearchLoop):
    """Learns by gradients which architectures are good within a budget, one search for each budget.

    The supernet's weights stay as they are. In each step the loss of a drawn architecture on images that no weight saw
    gives gradients to a distribution over the genes of the space, and so does its expected cost, by the prices that
    any search has; see :class:`~hyctas_mm.engine.gradient_search.GradientSearch`. The likeliest architectures of each
    budget are then scored as those of any search, and stand in the same archive and front. The state lies in
    ``WORK_DIR/search/choices``: with ``resume = True`` a search that was killed continues to the same result.

    Args:
        runner: The runner.
        dataloader: Loader of calibration images.
        supernet: Checkpoint of the trained supernet; with ``calibration_batches``, ``amp`` and ``precision`` those of
            :class:`~hyctas_mm.evaluators.InheritedWeights`.
        budgets: Values of the cost that are aimed at, ascending.
        calibration_batches: Batches that the batch norm is recalibrated on.
        amp: Whether candidates are scored in half precision, e.g. ``'bfloat16'``.
        precision: What candidates are scored in, ``'fp32'`` or ``'int8'``.
        cost: The cost, one of the objectives.
        cost_form: ``'adaptive'``, ``'hinge'`` or ``'log'``, see :class:`~hyctas_mm.engine.cost_losses.CostLoss`.
        cost_weight: Its weight beside the loss.
        steps: Steps for each budget.
        lr: Learning rate of Adam.
        paths: Ops computed in each cell, 2 or 1.
        guide: Whether cells tell their neighbours what they choose.
        shared_choices: Whether all cells have the same op and width.
        candidates: Architectures scored for each budget.
        choice_dataloader: Config of the loader of the images that choices are learned on, none of them among the
            calibration images; None for the validation images, on which candidates are scored.
        **options: The other arguments of :class:`SearchLoop`; by default all numbers of branches are searched jointly.

    Raises:
        ValueError: For a wrong argument.

    Example:
        >>> train_cfg = dict(
        ...     type='GradientSearchLoop', supernet='work_dirs/supernet/iter_4000.pth', subnet_config='subnet.py',
        ...     input_hw=(227, 320), objectives=['mIoU', 'latency_ms'], budgets=(8, 12, 18), steps=300)
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: Any,
        supernet: str,
        budgets: Sequence[float],
        calibration_batches: int = 16,
        amp: bool | str = False,
        precision: str = 'fp32',
        cost: str = 'latency_ms',
        cost_form: str = 'adaptive',
        cost_weight: float = 0.5,
        steps: int = 300,
        lr: float = 0.05,
        paths: int = 2,
        guide: bool = False,
        shared_choices: bool = False,
        candidates: int = 4,
        choice_dataloader: Mapping[str, Any] | None = None,
        branches: Sequence[int] | None = None,
        **options: Any,
    ) -> None:
        evaluator = dict(type='InheritedWeights', supernet=supernet, calibration_batches=calibration_batches, amp=amp)
        evaluator['precision'] = precision
        learned = dict(budgets=list(budgets), cost=cost, cost_form=cost_form, cost_weight=cost_weight, steps=steps)
        learned |= dict(lr=lr, paths=paths, guide=guide, shared_choices=shared_choices)
        if wrong := [name for name in ('population', 'generations') if name in options]:
            raise BadValue(f'train_cfg: {wrong}; expected candidates and budgets in their place')
        options |= dict(branches=branches, population=candidates, generations=len(budgets))
        super().__init__(runner, dataloader, evaluator=evaluator, algorithm=dict(type='Gradient', **learned), **options)
        if list(budgets) != sorted(set(budgets)) or not budgets:
            raise BadValue(f'train_cfg: budgets={budgets!r}; expected one or more different numbers, ascending')
        if cost not in [o.name for o in self.objectives if o.direction == 'min']:
            raise BadValue(f'train_cfg: cost={cost!r}; expected one of the objectives that are costs')
        if type(steps) is not int or steps < 1 or paths not in (1, 2):
            raise BadValue(
                f'train_cfg: steps={steps!r}, paths={paths!r}; expected a whole number from 1 up, and 1 or 2'
            )
        self.budgets, self.cost, self.steps = [float(b) for b in budgets], cost, steps
        self._cost_loss = [CostLoss(cost_form, budget, cost_weight) for budget in self.budgets]
        self._options, self._lr, self._paths = (guide, shared_choices), lr, paths
        self._images = (
            self.runner.val_loop.dataloader
            if choice_dataloader is None
            else runner.build_dataloader(dict(choice_dataloader), seed=0)
        )
        check_disjoint(self.dataloader, self._images)
        names = sorted(Path(path).name for path in image_paths(self._images.dataset))
        self.algorithm_cfg['images_sha1'] = hashlib.sha1('\n'.join(names).encode()).hexdigest()
        if self._images.batch_size < 2:
            raise BadValue(
                'train_cfg: choices are learned on batches of 2 images or more, got 1; give choice_dataloader'
            )

    # One search for each budget ----

    def _generations(self, track: int | None) -> Iterator[Generation]:
        for index, budget in enumerate(self.budgets):
            search = self._learn(track, index)
            archs = search.found(self.population, self._driver.accept)
            if not archs:
                continue
            if (least := self.costs(archs[0])[self.cost]) > budget:
                self._progress.say(f'{self.cost} {budget:g}: nothing that was drawn is within it, only {least:.4g}')
            yield self._driver.judge(archs, track, index)

    def _learn(self, track: int | None, index: int) -> GradientSearch:
        """The search for a budget, gone on with where its state was written last."""
        guide, shared = self._options
        search = GradientSearch(
            Choices(self.space, track, shared, guide),
            self._loss,
            lambda arch: self.costs(arch)[self.cost],
            self._cost_loss[index],
            [self.seed, track or 0, index],
            lr=self._lr,
            paths=self._paths,
        )
        name = f'{"joint" if track is None else track}_{index}'
        path = self.folder / CHOICES / f'{name}.pth'
        if self.runner._resume and path.exists():
            search.load(path)
        while search.done < self.steps:
            with fixed_kernels():
                search.step()
            if search.done % SAVE_EVERY == 0 or search.done == self.steps:
                search.save(path)
                history = search.history
                write_json(
                    path.with_suffix('.json'),
                    dict(track=track, cost=self.cost, budget=self.budgets[index], steps=vars(history)),
                )
                self._progress.say(
                    f'{self.cost} {self.budgets[index]:g}, step {search.done}/{self.steps}: loss '
                    f'{np.mean(history.loss[-SAVE_EVERY:]):.4f}, {self.cost} {history.expected[-1]:.4g}, entropy '
                    f'{np.mean(history.entropy[-SAVE_EVERY:]):.3f}'
                )
        return search

    @cached_property
    def _net(self) -> nn.Module:
        """A copy of the supernet, whose batch norm keeps other statistics: the supernet is what candidates are cut
        from.
        """
        return copy.deepcopy(self._model).requires_grad_(False).train()

    def _loss(self, arch: Architecture, alternatives: Alternatives, step: int) -> Tensor:
        set_arch(self._net, arch)
        for part in searchable_parts(self._net).values():
            if hasattr(part, 'alternatives'):
                part.alternatives = alternatives
        with seeded(int(np.random.default_rng([self.seed, step]).integers(2**31))):
            batch = next(load_batches(self._images, self._batch(step)))
            data = self._net.data_preprocessor(batch, True)
            loss: Tensor = self._net.parse_losses(main_losses(self._net(**data, mode='loss')))[0]
        return loss

    def _batch(self, step: int) -> list[int]:
        """The images of a step: all in a random order, then in another one."""
        count, size = len(self._images.dataset), self._images.batch_size
        found: list[int] = []
        for place in range(step * size, (step + 1) * size):
            found.append(int(np.random.default_rng([self.seed, place // count]).permutation(count)[place % count]))
        return found


def main_losses(losses: Mapping[str, Any]) -> dict[str, Any]:
    """Losses without those of auxiliary heads, which networks that end at coarser strides have more of."""
    return {name: loss for name, loss in losses.items() if not any(p.startswith('aux') for p in name.split('.'))}
