"""How well landmarks can be ranked: by their own noise at best, and by short trainings."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hyctas_mm.errors import BadValue
from hyctas_mm.studies.correlation import Array, correlate

SCOPES = ('overall', 'within branches', 'within latency')
"""What is taken out of both sides before they are compared: nothing; the mean of each number of branches; a line in log
latency for each number of branches, as "larger is better" is no merit of a search.
"""


@dataclass(frozen=True)
class Ceiling:
    """What the noise of a training allows.

    Attributes:
        spread: Standard deviation of networks' true scores.
        noise: Standard deviation of the trainings of one network.
        one_training: Kendall's tau between one training and the mean of the seeds, which another training of the same
            length may be expected to reach.
        perfect: Kendall's tau between the true scores and the mean of the seeds: no judge can be expected to do better.
    """

    spread: float
    noise: float
    one_training: float
    perfect: float

    def rho(self, seeds: int) -> float:
        """Pearson's rho of the true scores and the mean of so many seeds; tau is ``2/pi asin`` of it."""
        return math.sqrt(_reliability(self.spread, self.noise, seeds))


def truth(table: Mapping[str, Any]) -> Array:
    """Scores on the validation images at the end of each training, (networks, seeds); only networks of all seeds."""
    return scores_after(table, str(table['steps']), 'val')


def ceiling(table: Mapping[str, Any], scope: str = 'overall') -> Ceiling:
    """The ceiling of landmarks, where scores are normal: tau is ``2/pi asin(r)`` of their correlation r.

    Raises:
        ValueError: With fewer than two seeds or four networks.
    """
    scores = truth(table)
    number, seeds = scores.shape
    if seeds < 2 or number < 4:
        raise BadValue(f'{number} networks of {seeds} seeds; expected 4 networks and 2 seeds or more to tell noise')
    left = take_out(complete(table), scope)(scores)
    noise = float(np.sqrt(scores.var(axis=1, ddof=1).mean()))
    spread = math.sqrt(max(0.0, float(left.mean(axis=1).var(ddof=1)) - noise**2 / seeds))
    reliability, single = (_reliability(spread, noise, n) for n in (seeds, 1))
    taus = (2 / math.pi * math.asin(math.sqrt(r)) for r in (single * reliability, reliability))
    return Ceiling(spread, noise, *taus)


def judged_by_training(table: Mapping[str, Any], steps: int, images: str, scope: str = 'overall') -> float:
    """Kendall's tau between scores after some steps and the ends of the trainings with the other seeds; the mean over
    seeds.

    Args:
        table: The landmarks.
        steps: Number of steps.
        images: What they are scored on, e.g. ``'val'``.
        scope: One of :data:`SCOPES`.
    """
    ends, early, rest = truth(table), scores_after(table, str(steps), images), take_out(complete(table), scope)
    taus = []
    for seed in range(ends.shape[1]):
        others = np.delete(ends, seed, axis=1).mean(axis=1, keepdims=True)
        taus.append(float(correlate(rest(early[:, [seed]])[:, 0], rest(others)[:, 0])['kendall_tau']))
    return float(np.mean(taus))


def complete(table: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The networks that were trained with all seeds."""
    seeds = max((len(entry['curves']) for entry in table['networks']), default=0)
    return [entry for entry in table['networks'] if len(entry['curves']) == seeds]


def scores_after(table: Mapping[str, Any], steps: str, images: str) -> Array:
    """Scores after some steps on some images, (networks, seeds); only networks of all seeds."""
    return np.array(
        [
            [curve['scores'][steps][images][table['metric']] for curve in entry['curves'].values()]
            for entry in complete(table)
        ]
    )


def take_out(networks: Sequence[Mapping[str, Any]], scope: str) -> Callable[[Array], Array]:
    """Takes out of (networks, any) what the scope says.

    Raises:
        ValueError: For an unknown scope.
    """
    tracks = np.array([entry['track'] for entry in networks])
    logs = np.log([entry['costs']['latency_ms'] for entry in networks])
    if scope == 'overall':
        return lambda values: values
    if scope not in SCOPES:
        raise BadValue(f'scope={scope!r}; expected one of {", ".join(SCOPES)}')
    columns = [tracks == track for track in np.unique(tracks)]
    design = np.stack(columns + [column * logs for column in columns] * (scope == 'within latency'), axis=1).astype(
        float
    )
    return lambda values: values - design @ np.linalg.lstsq(design, values)[0]


def _reliability(spread: float, noise: float, seeds: int) -> float:
    """Squared correlation of true scores and the mean of so many seeds."""
    return spread**2 / (spread**2 + noise**2 / seeds) if spread else 0.0
