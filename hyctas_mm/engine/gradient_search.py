"""A search by gradients for one budget."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hyctas_mm.archs import Architecture
from hyctas_mm.engine.choices import Choices
from hyctas_mm.engine.cost_losses import CostLoss
from hyctas_mm.models.alternatives import Alternatives

Loss = Callable[[Architecture, Alternatives, int], Tensor]
"""The loss of an architecture at a step, with gradients by the weights of the alternatives."""

_MEMORY = 0.9
"""Part of the running means that a step keeps."""
TRIES_PER_CANDIDATE = 100


@dataclass
class History:
    """What each step was like.

    Attributes:
        loss: Of the drawn architecture.
        cost: Its cost.
        expected: Running mean of the costs.
        entropy: Of the choices that the drawn architecture depends on: 1 undecided, 0 decided.
        weight: Of the cost.
    """

    loss: list[float] = field(default_factory=list)
    cost: list[float] = field(default_factory=list)
    expected: list[float] = field(default_factory=list)
    entropy: list[float] = field(default_factory=list)
    weight: list[float] = field(default_factory=list)


class GradientSearch:
    """Learns choices until they are good and within a budget.

    In each step an architecture is drawn. Gradients by ops and widths are those of
    :meth:`~hyctas_mm.engine.choices.Choices.alternatives`; by what changes shapes (number of branches and cells, places
    to go down, stem, head, gates) those of the score function, with a running mean of the losses as baseline; by the
    cost those of its expectation, of the same prices as any search's.

    Every step is a function of seed, step and what was learned before.

    Args:
        choices: What is learned.
        loss: See :data:`Loss`.
        price: The cost of an architecture.
        cost_loss: What the cost adds.
        seed: Everything random comes from it.
        lr: Learning rate of Adam.
        paths: 2: second ops are computed; 1: they are not, and the score function stands for them.

    Attributes:
        done: Steps so far.
        history: Of these.
    """

    def __init__(
        self,
        choices: Choices,
        loss: Loss,
        price: Callable[[Architecture], float],
        cost_loss: CostLoss,
        seed: int | list[int] = 0,
        lr: float = 0.05,
        paths: int = 2,
    ) -> None:
        self.choices, self.loss, self.price, self.cost_loss = choices, loss, price, cost_loss
        self._seed, self._paths = [seed] if isinstance(seed, int) else list(seed), paths
        self._optimizer = torch.optim.Adam(choices.parameters(), lr, betas=(0.5, 0.999))
        self._baseline = self._expected = float('nan')
        self.done, self.history = 0, History()

    def step(self) -> None:
        """One step."""
        choices = self.choices
        draw = choices.draw(np.random.default_rng([*self._seed, self.done]))
        loss = self.loss(draw.arch, choices.alternatives(draw, self._paths == 2), self.done).cpu()
        cost, places = choices.expected(draw, self.price)
        own, spent = loss.item(), cost.item()
        by_paths = set(choices.widths.ravel().tolist()) | set(choices.ops.ravel().tolist() if self._paths == 2 else ())
        baseline = own if self.done == 0 else self._baseline
        score = (own - baseline) * choices.log_prob(draw, places - by_paths)
        self._expected = self._running(self._expected, spent)
        total = loss + score + self.cost_loss(self._expected + cost - cost.detach())
        self._optimizer.zero_grad()
        total.backward()
        self._optimizer.step()
        self._baseline = self._running(self._baseline, own)
        entropy, weight = choices.entropy(places), self.cost_loss.weight
        self.cost_loss.adapt(self._expected)
        for name, value in dict(loss=own, cost=spent, expected=self._expected, entropy=entropy, weight=weight).items():
            getattr(self.history, name).append(value)
        self.done += 1

    def _running(self, mean: float, value: float) -> float:
        return value if self.done == 0 else _MEMORY * mean + (1 - _MEMORY) * value

    def found(self, count: int, accept: Callable[[Architecture], bool] = lambda arch: True) -> list[Architecture]:
        """What was found: the likeliest architecture and others that are drawn, within the budget.

        Args:
            count: How many.
            accept: Refuses others.

        Returns:
            Different architectures; fewer where so many tries bring no more, and where none is within the budget the
            cheapest accepted one.
        """
        rng = np.random.default_rng([*self._seed, self.done, 1])
        kept: dict[str, Architecture] = {}
        beyond: list[Architecture] = []
        for number in range(count * TRIES_PER_CANDIDATE):
            arch = self.choices.draw(rng).arch if number else self.choices.likeliest()
            if arch.archid in kept or not accept(arch):
                continue
            if self.price(arch) <= self.cost_loss.budget:
                kept[arch.archid] = arch
                if len(kept) == count:
                    break
            else:
                beyond.append(arch)
        return list(kept.values()) or sorted(beyond, key=self.price)[:1]

    # State ----

    def save(self, path: Path) -> None:
        """Writes all that further steps depend on; the file is whole at every instant."""
        state = dict(
            choices=self.choices.state_dict(),
            optimizer=self._optimizer.state_dict(),
            baseline=self._baseline,
            expected=self._expected,
            weight=self.cost_loss.weight,
            done=self.done,
            history=vars(self.history),
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix('.tmp')
        torch.save(state, temporary)
        os.replace(temporary, path)

    def load(self, path: Path) -> None:
        """Goes on from what :meth:`save` wrote."""
        state: Mapping[str, Any] = torch.load(path, weights_only=True)
        self.choices.load_state_dict(state['choices'])
        self._optimizer.load_state_dict(state['optimizer'])
        self._baseline, self._expected, self.done = state['baseline'], state['expected'], state['done']
        self.cost_loss.weight, self.history = state['weight'], History(**state['history'])
