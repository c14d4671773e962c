"""Whose front is ahead: networks by their latency and their score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hyctas_mm.errors import BadValue
from hyctas_mm.search.hypervolume import Frame

Point = tuple[float, float]
"""Latency in milliseconds, and a score of which more is better."""


@dataclass(frozen=True)
class Box:
    """Where fronts are measured: latency on a logarithmic scale.

    Attributes:
        latency_ms: The fastest and the slowest that counts.
        score: The worst and the best that counts.

    Raises:
        ValueError: If one is not below the other, or a latency is not positive.
    """

    latency_ms: tuple[float, float] = (2, 80)
    score: tuple[float, float] = (30, 50)

    def __post_init__(self) -> None:
        if not 0 < self.latency_ms[0] < self.latency_ms[1] or not self.score[0] < self.score[1]:
            raise BadValue(
                f'--box-ms {self.latency_ms} --box-score {self.score}; expected two numbers each, the smaller one '
                'first, and milliseconds above 0'
            )

    def volume(self, points: Sequence[Point]) -> float:
        """Share of the box that points dominate, 0 to 1; what is better than the box counts as its edge."""
        (fast, slow), (worst, best) = self.latency_ms, self.score
        frame = Frame((math.log(fast), -best), (math.log(slow), -worst))
        inside = [(math.log(max(ms, fast)), -min(score, best)) for ms, score in points]
        return float(frame.volumes(np.array(inside).reshape(-1, 2))[-1]) if inside else 0.0


def is_above(peer: Point, ours: Sequence[Point]) -> bool:
    """Whether no network of ours is at most as slow and at least as good."""
    return not any(ms <= peer[0] and score >= peer[1] for ms, score in ours)
