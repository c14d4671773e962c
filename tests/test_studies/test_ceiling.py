"""What noise allows, of landmarks whose spread and noise are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hyctas_mm.studies.ceiling import ceiling, judged_by_training, truth
from hyctas_mm.studies.correlation import correlate


def landmarks(number: int, spread: float, noise: float, seeds: int = 3, slope: float = 0.0) -> dict[str, Any]:
    """Networks of three tracks that differ by 5, even over log latency, with short trainings that know half of it."""
    rng, entries = np.random.default_rng(0), []
    for index in range(number):
        track, latency = 1 + index % 3, 4 * 10 ** (index / number)
        own = spread * rng.standard_normal()
        true = 30 + 5 * track + slope * np.log(latency) + own
        curves = {
            str(seed): dict(
                scores={
                    '30': dict(val=dict(mIoU=own + spread * rng.standard_normal())),
                    '300': dict(val=dict(mIoU=true + noise * rng.standard_normal())),
                }
            )
            for seed in range(seeds)
        }
        entries.append(dict(track=track, costs=dict(latency_ms=latency), curves=curves))
    return dict(metric='mIoU', steps=300, networks=entries)


def test_spread_noise_and_what_they_allow() -> None:
    table = landmarks(3000, spread=1.0, noise=0.5)
    found = ceiling(table, 'within branches')
    assert found.spread == pytest.approx(1.0, abs=0.05) and found.noise == pytest.approx(0.5, abs=0.02)
    scores = truth(table) - np.array([5 * e['track'] for e in table['networks']])[:, None]
    another = correlate(scores[:, 0], scores[:, 1:].mean(axis=1))['kendall_tau']  # two seeds of truth are noisier
    assert another == pytest.approx(found.one_training, abs=0.04)
    assert found.one_training < found.perfect < 1
    assert judged_by_training(table, 300, 'val', 'within branches') == pytest.approx(another, abs=0.02)
    # a short training that correlates by 0.71 with the truth
    assert judged_by_training(table, 30, 'val', 'within branches') == pytest.approx(0.46, abs=0.06)


def test_what_size_explains_is_taken_out() -> None:
    table = landmarks(600, spread=0.3, noise=0.3, slope=4.0)
    spreads = [ceiling(table, scope).spread for scope in ('overall', 'within branches', 'within latency')]
    assert spreads[0] > 4 and spreads[1] == pytest.approx(4 * np.std(np.linspace(0, np.log(10), 600)), rel=0.1)
    assert spreads[2] == pytest.approx(0.3, abs=0.05)
    assert judged_by_training(table, 300, 'val') > 0.8 > judged_by_training(table, 300, 'val', 'within latency')


def test_networks_that_lack_seeds_are_left_out() -> None:
    table = landmarks(12, 1.0, 0.5)
    del table['networks'][3]['curves']['2']
    assert truth(table).shape == (11, 3)
    with pytest.raises(ValueError, match='2 networks of 3 seeds; expected 4'):
        ceiling(landmarks(2, 1.0, 0.5))
    with pytest.raises(ValueError, match="scope='all'; expected one of overall"):
        ceiling(table, 'all')
