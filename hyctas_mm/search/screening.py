"""Giving up on candidates that a score on part of the images shows to be beyond doubt worse than one that is no
dearer.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hyctas_mm.errors import BadValue
from hyctas_mm.search.archive import Candidate
from hyctas_mm.search.objectives import COSTS, Objective

PART = '_part'
"""What is appended to a metric's name for its value on the first part of the images."""
MIN_PAIRS = 10
"""Candidates scored on part and on all images, before which nobody is given up: fewer tell little of how the two
differ.
"""


@dataclass(frozen=True)
class Limit:
    """Where to give up on a candidate.

    Attributes:
        name: The score.
        sign: Makes smaller better.
        worst: The score on the first part of the images, times the sign, beyond which it is given up; infinite for
            never.
    """

    name: str
    sign: int
    worst: float

    def gives_up(self, metrics: Mapping[str, float]) -> bool:
        """Whether metrics of the first part are beyond the limit.

        A value that is no number is left to the full score to tell.
        """
        return self.sign * metrics.get(self.name, math.nan) > self.worst


@dataclass(frozen=True)
class Screening:
    """The rule by which a search gives up on candidates.

    How the score on all images differs from that on the first part is learned from the candidates that have both. A
    candidate is given up if its score, at the favourable end of that difference, still loses to a fully scored
    candidate that costs no more in any objective.

    Attributes:
        images: Images of the first part.
        deviations: Standard deviations of the difference that count as doubt.
        score: The objective that is no cost.
        costs: The objectives that are costs.
    """

    images: int
    deviations: float
    score: Objective
    costs: tuple[Objective, ...]

    def limit(self, costs: Mapping[str, float], candidates: Iterable[Candidate]) -> Limit:
        """Where to give up on a candidate.

        Args:
            costs: The costs of the candidate.
            candidates: Those evaluated before.
        """
        return Limit(self.score.name, self.score.sign, self._worst(costs, candidates))

    def _worst(self, costs: Mapping[str, float], candidates: Iterable[Candidate]) -> float:
        name, sign = self.score.name, self.score.sign
        full = [
            c for c in candidates if not c.violations and c.value(name) is not None and c.value(name + PART) is not None
        ]
        differences = [sign * (c.metrics[name] - c.metrics[name + PART]) for c in full]
        no_dearer = [sign * c.metrics[name] for c in full if all(c.costs[o.name] <= costs[o.name] for o in self.costs)]
        if len(differences) < MIN_PAIRS or not no_dearer:
            return math.inf
        return min(no_dearer) - statistics.mean(differences) + self.deviations * statistics.stdev(differences)

    def was_given_up(self, metrics: Mapping[str, float]) -> bool:
        """Whether an evaluation ended after the first part."""
        return self.score.name + PART in metrics and self.score.name not in metrics

    def reason(self, metrics: Mapping[str, float]) -> str:
        """Why a candidate with these metrics was given up, as its violation in the archive."""
        value = metrics[self.score.name + PART]
        return (
            f'given up after {self.images} images: {self.score.name} {value:.4g} there; a candidate that costs no '
            'more has a better one'
        )


def read_screening(options: Mapping[str, Any] | None, objectives: Sequence[Objective]) -> Screening | None:
    """The rule of a config: ``dict(images=64)``, optionally with ``deviations``; None for no screening.

    Raises:
        ValueError: For other keys or values, or if not exactly one objective is a score.
    """
    if options is None:
        return None
    values = dict(deviations=3.0) | dict(options)
    if set(values) != {'images', 'deviations'} or not int(values['images']) >= 1 or not values['deviations'] >= 0:
        raise BadValue(
            f'train_cfg.screening: {dict(options)!r}; expected dict(images=64), and deviations of 0 or more if not 3'
        )
    scores = [o for o in objectives if o.name not in COSTS]
    if len(scores) != 1:
        raise BadValue(
            f'train_cfg.screening: the objectives have the scores {[o.name for o in scores]}, expected exactly one; '
            'leave screening out'
        )
    costs = tuple(o for o in objectives if o.name in COSTS)
    return Screening(int(values['images']), float(values['deviations']), scores[0], costs)
