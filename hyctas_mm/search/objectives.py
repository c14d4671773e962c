"""What a search optimises and what it demands."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hyctas_mm.errors import BadValue

METRICS = dict.fromkeys(('mIoU', 'aAcc', 'mAcc', 'PQ', 'SQ', 'RQ', 'PQ_th', 'PQ_st', 'AP', 'AP50'), '%')
"""Scores, larger is better, and their units; known after a candidate was evaluated."""

TRAIN_LOSS = 'train_loss'
"""The loss of a short training, smaller is better; no score of a network that ships."""

COSTS = {'latency_ms': 'ms', 'macs_g': 'G', 'params_m': 'M', 'memory_gb': 'GB', 'run_mb': 'MB', 'file_mb': 'MB'}
"""Costs, smaller is better, and their units; known before a candidate is evaluated."""


def declare_cost(name: str, unit: str = '') -> None:
    """Makes ``name`` a known cost for objectives and bounds.

    Raises:
        ValueError: If it is the name of another metric or cost.
    """
    if name in METRICS or name in COSTS:
        raise BadValue(
            f'cost {name!r}: there is a metric or cost of this name (known: {", ".join([*METRICS, *COSTS])}); choose '
            'another name'
        )
    COSTS[name] = unit


_LABELS = {
    TRAIN_LOSS: 'Loss of a short training',
    'params_m': 'Parameters',
    'macs_g': 'MACs',
    'latency_ms': 'Latency',
    'memory_gb': 'Training memory',
    'run_mb': 'Memory to run',
    'file_mb': 'File size',
}


@dataclass(frozen=True)
class Objective:
    """One objective of a search.

    Attributes:
        name: The metric or cost, as in a record of the archive.
        direction: ``'max'`` or ``'min'``.
        unit: For a person; '' if none.
        weight: Weight of this objective in the crowding distance.
    """

    name: str
    direction: str
    unit: str = ''
    weight: float = 1.0

    @property
    def sign(self) -> int:
        """Multiplier that makes smaller better: the one place where a direction is turned."""
        return -1 if self.direction == 'max' else 1

    @property
    def label(self) -> str:
        """Name and unit, e.g. ``'mIoU (%)'``."""
        return label_of(self.name, self.unit)

    @property
    def goal(self) -> str:
        """Name, unit and direction, e.g. ``'Latency (ms), lower is better'``."""
        return f'{self.label}, {"higher" if self.direction == "max" else "lower"} is better'

    def with_value(self, value: float | None) -> str:
        """Name, value and unit, e.g. ``'Latency 5.43 ms'``."""
        text = '–' if value is None else format_value(value)
        return f'{_LABELS.get(self.name, self.name)} {text} {self.unit or unit_of(self.name)}'.rstrip()


@dataclass(frozen=True)
class Bound:
    """A demand on a metric or cost: at least ``minimum``, at most ``maximum``, where given."""

    name: str
    minimum: float | None = None
    maximum: float | None = None

    def violation(self, value: float) -> float:
        """By how much the value misses the bound; 0 where it is met, infinite for a value that is no number."""
        if math.isnan(value):
            return math.inf
        low = 0.0 if self.minimum is None else self.minimum - value
        high = 0.0 if self.maximum is None else value - self.maximum
        return max(0.0, low, high)

    def describe(self, value: float) -> str:
        """The violation in words."""
        limits = (('at least', self.minimum), ('at most', self.maximum))
        return f'{self.name} {value:.4g}; demanded ' + ' and '.join(
            f'{word} {limit:g}' for word, limit in limits if limit is not None
        )


def read_objectives(items: Sequence[str | Mapping[str, Any]]) -> tuple[Objective, ...]:
    """Objectives of a config: names, or dicts with ``name`` and optionally ``direction``, ``unit``, ``weight``.

    Raises:
        ValueError: For fewer than two, a repeated one, or an unknown name without a direction.
    """
    found = []
    for item in items:
        options = dict(name=item) if isinstance(item, str) else dict(item)
        name = options.get('name')
        if name in METRICS or name in COSTS or name == TRAIN_LOSS:
            options.setdefault('direction', 'max' if name in METRICS else 'min')
        options.setdefault('unit', unit_of(str(name)))
        if options.get('direction') not in ('max', 'min'):
            known = ', '.join([*METRICS, TRAIN_LOSS, *COSTS])
            raise BadValue(
                f"train_cfg.objectives: {item!r} is unknown (known: {known}); give another one direction='max' or 'min'"
            )
        found.append(Objective(**options))
    names = [o.name for o in found]
    if len(found) < 2 or len(set(names)) != len(names):
        raise BadValue(
            f'train_cfg.objectives: {names}; expected two or more different ones, e.g. ["mIoU", "latency_ms"]'
        )
    return tuple(found)


def read_bounds(items: Mapping[str, Mapping[str, float]], others: Sequence[str] = ()) -> tuple[Bound, ...]:
    """Bounds of a config: ``{'latency_ms': {'max': 20}, 'mIoU': {'min': 30}}``.

    Args:
        items: The bounds by name.
        others: Names that may be bounded beside the known metrics and costs: those of a user's own objectives.

    Raises:
        ValueError: For an unknown name, or a bound without ``min`` or ``max`` or with anything else.
    """
    found = []
    for name, limits in items.items():
        whole = isinstance(limits, Mapping) and bool(limits) and set(limits) <= {'min', 'max'}
        if not whole or not all(isinstance(limit, (int, float)) for limit in limits.values()):
            shown = dict(limits) if isinstance(limits, Mapping) else limits
            raise BadValue(
                f"train_cfg.bounds: {name}={shown!r}; expected 'min', 'max' or both and a number for each, e.g. "
                'dict(max=20)'
            )
        if name not in METRICS and name not in COSTS and name not in others:
            known = ', '.join([*METRICS, *COSTS, *others])
            raise BadValue(
                f'train_cfg.bounds: {name!r} is neither a known metric or cost nor an objective; expected some '
                f'of {known}'
            )
        found.append(Bound(name, limits.get('min'), limits.get('max')))
    return tuple(found)


def score_of(objectives: Sequence[Objective]) -> Objective:
    """The objective that is a score: of those that are no known cost the first that is to be large, else the first.

    Raises:
        ValueError: If all are costs.
    """
    found = [o for o in objectives if o.name not in COSTS]
    if not found:
        raise BadValue(
            f'objectives {[o.name for o in objectives]} are all costs; expected a score such as mIoU among them'
        )
    # a cost of one's own may not be known here, but is to be small
    return max(found, key=lambda o: o.direction == 'max')


def trained_metric(score: str, metrics: Collection[str]) -> str:
    """The metric that trained networks of a search are compared by.

    Args:
        score: What was searched for.
        metrics: Names of what candidates were given.

    Returns:
        The score, and in place of the loss of a short training PQ or mIoU.
    """
    return score if score != TRAIN_LOSS else 'PQ' if 'PQ' in metrics else 'mIoU'


def unit_of(name: str) -> str:
    """Unit of a known metric or cost, else ''."""
    return METRICS.get(name) or COSTS.get(name, '')


def label_of(name: str, unit: str = '') -> str:
    """A metric's or cost's name for a person, e.g. ``'Latency (ms)'`` for ``latency_ms``."""
    text, unit = _LABELS.get(name, name), unit or unit_of(name)
    return f'{text} ({unit})' if unit else text


def format_value(value: float) -> str:
    """About four significant digits without exponents for usual sizes."""
    size = abs(value)
    if size >= 1000:
        return f'{value:,.0f}'
    if size >= 100:
        return f'{value:.1f}'
    if size >= 1 or value == 0:
        return f'{value:.2f}'
    return f'{value:.3f}' if size >= 0.01 else f'{value:.2g}'
