"""Tables of landmarks whose spread, noise and judges are known."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from hyctas_mm.archs import Architecture, SearchSpace

SPACE = SearchSpace(layers=5)


@cache
def archs(number: int) -> tuple[Architecture, ...]:
    rng = np.random.default_rng(0)
    return tuple(SPACE.sample(rng, 1 + n % 3) for n in range(number))


def quality(arch: Architecture) -> float:
    """What a network could be good for: convolutions, but for attention at coarse strides."""
    return sum(placed.cell.width / 12 * (1 + 3 * (placed.cell.op == 'attention')) for placed in arch.cells) / 4


def table(
    number: int, spread: float = 1.0, noise: float = 0.5, seeds: int = 3, slope: float = 0.0, known: bool = False
) -> dict[str, Any]:
    """Networks even over log latency, whose rungs at 30 and 75 correlate by 0.5 with what they are truly worth.

    Args:
        number: Of networks.
        spread: Standard deviation of true scores.
        noise: Of trainings of one network.
        seeds: Of the trainings.
        slope: Points of a true score for a unit of log latency, of which there are log 10.
        known: Whether true scores follow from the architecture.
    """
    rng, networks = np.random.default_rng(0), []
    for index, arch in enumerate(archs(number)):
        latency = 4 * 10 ** (index / number)
        own = spread * (quality(arch) if known else rng.standard_normal())
        true = 30 + slope * np.log(latency) + own
        curves = {}
        for seed in range(seeds):
            early = own + 3**0.5 * spread * rng.standard_normal()
            scores = {str(steps): {images: dict(mIoU=early) for images in ('val', 'held_out')} for steps in (30, 75)}
            scores['300'] = {images: dict(mIoU=true + noise * rng.standard_normal()) for images in ('val', 'held_out')}
            losses = (3 - true / 30 + np.zeros(300)).tolist()
            curves[str(seed)] = dict(scores=scores, losses=losses)
        costs = dict(macs_g=latency / 40, params_m=1.0 + index % 7, latency_ms=latency)
        networks.append(
            dict(archid=arch.archid, track=1 + index % 3, arch=arch.to_dict(), costs=costs, curves=curves, true=true)
        )
    return dict(metric='mIoU', steps=300, space=SPACE.to_dict(), networks=networks, judges={})


def add_judge(found: dict[str, Any], name: str, correlation: float, before: float = 0, each: float = 0) -> None:
    """Records a judge that correlates so with true scores, in a table without a slope."""
    rng = np.random.default_rng([len(name), *name.encode()])
    true = np.array([n['true'] for n in found['networks']])
    true = (true - true.mean()) / true.std()
    scores = correlation * true + (1 - correlation**2) ** 0.5 * rng.standard_normal(len(true))
    said = {n['archid']: float(s) for n, s in zip(found['networks'], scores, strict=True)}
    found['judges'][name] = dict(before=before, each=each, scores=said)
