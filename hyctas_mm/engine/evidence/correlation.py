"""Rank and linear correlation with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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
    """Kendall's tau (b, so ties count as neither), Pearson's and Spearman's rho.

    All three are Daniels' general coefficient: the correlation over all pairs i, j of ``sign(x_i - x_j)``, of ``x_i - x_j``, and of the
    differences of ranks.

    Args:
        x: (..., N).
        y: (..., N).

    Returns:
        By name, each (...).
    """
    x_differences, y_differences = _differences(x), _differences(y)
    x_signs, y_signs = np.sign(x_differences), np.sign(y_differences)
    x_ranks, y_ranks = x_signs.sum(axis=-1), y_signs.sum(axis=-1)  # ranks but for scale and offset, ties in the middle
    pairs = ((x_signs, y_signs), (x_differences, y_differences), (_differences(x_ranks), _differences(y_ranks)))
    return {name: _general(a, b) for name, (a, b) in zip(MEASURES, pairs, strict=True)}


def _differences(values: Array) -> Array:
    return values[..., :, None] - values[..., None, :]  # (..., N) -> (..., N, N)


def _general(a: Array, b: Array) -> Array:
    over = (-2, -1)
    with np.errstate(invalid='ignore', divide='ignore'):
        result: Array = (a * b).sum(axis=over) / np.sqrt((a * a).sum(axis=over) * (b * b).sum(axis=over))
    return result


def intervals(x: Sequence[float], y: Sequence[float], draws: int = 2000, seed: int = 0) -> dict[str, Interval]:
    """Correlations of N pairs with 95 % intervals, by drawing N of the pairs with replacement.

    Raises:
        ValueError: For fewer than three pairs.
    """
    a, b = _read(x, y)
    values, drawn = correlate(a, b), _bootstrap(a, b, draws, seed)
    return {name: Interval(float(values[name]), *_quantiles(drawn[name])) for name in MEASURES}


def differences(x: Sequence[float], other: Sequence[float], y: Sequence[float], draws: int = 2000, seed: int = 0) -> dict[str, Interval]:
    """By how much ``x`` correlates better with ``y`` than ``other`` does, with 95 % intervals.

    Both are seen on the same draws, so that the choice of architectures does not count.

    Raises:
        ValueError: For fewer than three values.
    """
    (a, b), (c, _) = _read(x, y), _read(other, y)
    values, others = correlate(a, b), correlate(c, b)
    drawn, others_drawn = _bootstrap(a, b, draws, seed), _bootstrap(c, b, draws, seed)
    return {name: Interval(float(values[name] - others[name]), *_quantiles(drawn[name] - others_drawn[name])) for name in MEASURES}


def _read(x: Sequence[float], y: Sequence[float]) -> tuple[Array, Array]:
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1 or len(a) < 3:
        raise BadValue(f'a correlation of {a.shape} and {b.shape} values; expected as many of both, three or more')
    return a, b


def _bootstrap(a: Array, b: Array, draws: int, seed: int) -> dict[str, Array]:
    indices = np.random.default_rng(seed).integers(0, len(a), size=(draws, len(a)))
    parts = np.array_split(indices, max(1, draws * len(a) ** 2 // 10**6))  # all pairs of all draws at once would fill the memory
    found = [correlate(a[part], b[part]) for part in parts]
    return {name: np.concatenate([f[name] for f in found]) for name in MEASURES}


def _quantiles(values: Array) -> tuple[float, float]:
    """The interval of those draws that have a value: drawing one pair only gives none."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return float('nan'), float('nan')
    low, high = np.quantile(finite, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
