"""Rank and linear correlation with bootstrap intervals."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from hyctas_mm.errors import BadValue

Array = npt.NDArray[np.float64]

MEASURES = ('kendall_tau', 'pearson_rho', 'spearman_rho')
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A value and its bootstrap interval; NaN where it is not defined, e.g. where all values are equal."""

    value: float
    low: float
    high: float


def correlate(x: Array, y: Array) -> dict[str, Array]:
    """Kendall's tau (b, so ties count as neither), Pearson's and Spearman's rho; NaN where all values are equal.

    Args:
        x: (..., N).
        y: (..., N).

    Returns:
        By name, each (...).
    """
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', stats.ConstantInputWarning)
        found = (
            stats.kendalltau(x, y, axis=-1),
            stats.pearsonr(x, y, axis=-1),
            stats.pearsonr(stats.rankdata(x, axis=-1), stats.rankdata(y, axis=-1), axis=-1),
        )
    return {name: np.asarray(result.statistic) for name, result in zip(MEASURES, found, strict=True)}


def intervals(x: Sequence[float], y: Sequence[float], draws: int = 2000, seed: int = 0) -> dict[str, Interval]:
    """Correlations of N pairs with 95 % intervals, by drawing N of the pairs with replacement.

    Raises:
        ValueError: For fewer than three pairs.
    """
    a, b = _read(x, y)
    values, drawn = correlate(a, b), _bootstrap(a, b, draws, seed)
    return {name: Interval(float(values[name]), *_quantiles(drawn[name])) for name in MEASURES}


def differences(
    x: Sequence[float], other: Sequence[float], y: Sequence[float], draws: int = 2000, seed: int = 0
) -> dict[str, Interval]:
    """By how much ``x`` correlates better with ``y`` than ``other`` does, with 95 % intervals.

    Both are seen on the same draws, so that the choice of architectures does not count.

    Raises:
        ValueError: For fewer than three values.
    """
    (a, b), (c, _) = _read(x, y), _read(other, y)
    values, others = correlate(a, b), correlate(c, b)
    drawn, others_drawn = _bootstrap(a, b, draws, seed), _bootstrap(c, b, draws, seed)
    return {
        name: Interval(float(values[name] - others[name]), *_quantiles(drawn[name] - others_drawn[name]))
        for name in MEASURES
    }


def _read(x: Sequence[float], y: Sequence[float]) -> tuple[Array, Array]:
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1 or len(a) < 3:
        raise BadValue(f'a correlation of {a.shape} and {b.shape} values; expected as many of both, three or more')
    return a, b


def _bootstrap(a: Array, b: Array, draws: int, seed: int) -> dict[str, Array]:
    indices = np.random.default_rng(seed).integers(0, len(a), size=(draws, len(a)))
    return correlate(a[indices], b[indices])


def _quantiles(values: Array) -> tuple[float, float]:
    """The interval of those draws that have a value: drawing one pair only gives none."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return float('nan'), float('nan')
    low, high = np.quantile(finite, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
