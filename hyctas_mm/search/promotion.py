"""Which candidates are worth more training: successive halving in which every batch of candidates sets the next bar."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from hyctas_mm.search.archive import Candidate
from hyctas_mm.search.objectives import Objective


def rung_name(score: str, steps: int) -> str:
    """The metric in the archive that holds a score after so many steps, e.g. ``'mIoU_at_30'``."""
    return f'{score}_at_{steps}'


@dataclass(frozen=True)
class Promotion:
    """The rule by which a candidate is trained on.

    A candidate is compared with those of complete generations that were scored after as many steps, the nearest to it
    in cost: a bin around its latency. Of these and itself the best are trained on, one in ``reduction``, ordered by
    non-domination and then by score (MO-ASHA, https://arxiv.org/abs/2106.12639). Its own generation does not count, so
    neither the order in which processes finish nor a kill changes what is decided.

    Where there are too few to compare with, as in the first generation, chance decides by the candidate's id: one in
    ``reduction`` is trained on, so that later candidates find a bar after each number of steps.

    Attributes:
        score: What is to be large (or small, as its direction says).
        costs: The objectives that are costs; bins are made by the first.
        reduction: Of how many one is trained on.
        neighbours: Candidates that one is compared with.
    """

    score: Objective
    costs: tuple[Objective, ...]
    reduction: int = 3
    neighbours: int = 8

    def promotes(
        self, archid: str, costs: Mapping[str, float], value: float, steps: int, candidates: Iterable[Candidate]
    ) -> bool:
        """Whether a candidate is trained on.

        Args:
            archid: Its id.
            costs: Its costs.
            value: Its score after ``steps``.
            steps: How long it was trained.
            candidates: Those of complete generations.
        """
        name = rung_name(self.score.name, steps)
        found = [c for c in candidates if c.value(name) is not None]
        if self.costs:
            cost = self.costs[0].name
            found.sort(key=lambda c: abs(math.log(c.costs[cost] / costs[cost])))
        found = found[: self.neighbours]
        if not math.isfinite(value):
            return False
        if len(found) + 1 < self.reduction:
            return int(hashlib.sha1(f'{archid} {steps}'.encode()).hexdigest(), 16) % self.reduction == 0
        rows = [(value, costs), *((c.metrics[name], c.costs) for c in found)]
        scores = np.array([self.score.sign * row for row, _ in rows])
        known = np.array([[o.sign * priced[o.name] for o in self.costs] for _, priced in rows]).reshape(len(rows), -1)
        _, ranks = NonDominatedSorting().do(np.column_stack([scores, known]), return_rank=True)
        better = (ranks < ranks[0]) | ((ranks == ranks[0]) & (scores < scores[0]))
        return bool((better.sum() + 1) * self.reduction <= len(rows))
