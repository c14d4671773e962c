"""Latency of any architecture on a target, from measurements of whole networks.

A runtime fuses layers and re-lays maps between them, so parts that are measured by themselves do not add up there. What
each part costs, with what joins it to the next, is fitted instead: non-negative milliseconds for each kind of work that
it does, by a sample of whole networks, and checked on others.
"""

from __future__ import annotations

import datetime
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import optimize, stats
from torch import nn

from hyctas_mm.costs.part_work import work_of
from hyctas_mm.costs.parts import Part, collect_parts
from hyctas_mm.costs.targets import Target
from hyctas_mm.costs.targets.on_device import quietest
from hyctas_mm.errors import BadValue
from hyctas_mm.files import differences, read_json, write_json

FORMAT = 'hyctas_mm/fitted-table-1'
ALWAYS = 'a network'
"""What a network costs whatever it has."""
LEAST = 12
"""Networks without which nothing is fitted."""


@dataclass(frozen=True)
class Sample:
    """A whole network and how long it took.

    Attributes:
        name: Its archid.
        parts: Keys of its parts.
        rounds_ms: The median of each round.
        left_out: Whether the table is checked on it rather than fitted to it.
    """

    name: str
    parts: tuple[str, ...]
    rounds_ms: tuple[float, ...]
    left_out: bool

    @property
    def ms(self) -> float:
        """What counts: its two quietest rounds."""
        return quietest(self.rounds_ms)


@dataclass(frozen=True)
class FitCheck:
    """Predictions of networks that were left out, beside their measurements.

    Attributes:
        networks: How many the table was fitted to.
        left_out: How many it was checked on.
        median_error: Median over these of the absolute error, as a fraction of what was measured.
        worst_error: The largest.
        spearman: Rank correlation of predictions and measurements.
    """

    networks: int
    left_out: int
    median_error: float
    worst_error: float
    spearman: float

    def __str__(self) -> str:
        errors = f'median error {self.median_error:.1%}, worst {self.worst_error:.1%}, Spearman {self.spearman:.3f}'
        return f'fitted to {self.networks} networks; on {self.left_out} left out: {errors}'


class FittedTable:
    """A latency table of a target.

    Args:
        path: JSON file, read if it exists.
        target: What networks run in.
        input_shape: Shape of the networks' input, (N, 3, H, W).
        made_for: Which networks it is fitted to, as JSON has it, e.g. their search space; {} if that does not matter.

    Attributes:
        work: What each part does by its key, see :func:`~hyctas_mm.costs.part_work.work_of`.
        weights: Milliseconds of each kind of work; empty before :meth:`fit`.
        check: How good it is, None before :meth:`fit`.
        measured_on: The device in words and the software's versions.
        post_processing_ms: Always empty: what comes after the network is not known on a target.

    Raises:
        ValueError: If the file is of another target, input or other networks.
    """

    def __init__(
        self, path: str | Path, target: Target, input_shape: Sequence[int], made_for: Mapping[str, Any] = {}
    ) -> None:
        self.path, self.target, self.input_shape = Path(path), target, tuple(input_shape)
        self.made_for = dict(made_for)
        self.work: dict[str, dict[str, float]] = {}
        self.weights: dict[str, float] = {}
        self.samples: list[Sample] = []
        self.check: FitCheck | None = None
        self.measured_on: dict[str, Any] = {}
        self._known: dict[str, float] = {}
        if self.path.exists():
            self._read()

    def learn(self, part: Part) -> None:
        """Notes what a part does."""
        if part.key not in self.work:
            self.work[part.key] = work_of(part)

    def predict(self, model: nn.Module) -> float:
        """Latency of a network in milliseconds.

        Args:
            model: In eval mode, as it ships, on the meta device.
        """
        parts = collect_parts(model, self.input_shape)
        for part in parts:
            self.learn(part)
        return self._sum([part.key for part in parts])

    def look_up(self, keys: Sequence[str]) -> float | None:
        """What :meth:`predict` gives for a network of these parts; None if it is not known what one does."""
        return self._sum(keys) if all(key in self.work for key in keys) else None

    def _sum(self, keys: Sequence[str]) -> float:
        if not self.weights:
            raise BadValue(f'{self.path}: the table of {self.target} is not fitted yet')
        for key in keys:
            if key not in self._known:
                self._known[key] = sum(self.weights.get(name, 0.0) * size for name, size in self.work[key].items())
        return self.weights.get(ALWAYS, 0.0) + sum(self._known[key] for key in keys)

    def row(self, keys: Sequence[str]) -> dict[str, float]:
        """All work of a network."""
        total = {ALWAYS: 1.0}
        for key in keys:
            for name, size in self.work[key].items():
                total[name] = total.get(name, 0.0) + size
        return total

    def fit(self, samples: Sequence[Sample], measured_on: Mapping[str, Any]) -> FitCheck:
        """Fits the table to networks, checks it on those that were left out, then fits it to all of them.

        Args:
            samples: Measured networks, of parts that it has learned.
            measured_on: The device and its software, in words.

        Raises:
            ValueError: For too few networks.
        """
        kept, left_out = ([s for s in samples if s.left_out is out] for out in (False, True))
        if len(kept) < LEAST or len(left_out) < 3:
            raise BadValue(
                f'{len(kept)} networks to fit a latency table to and {len(left_out)} to check it on; expected at least '
                f'{LEAST} and 3: measure more'
            )
        self._solve(kept)
        predicted, measured = [self._sum(s.parts) for s in left_out], [s.ms for s in left_out]
        errors = [abs(p / m - 1) for p, m in zip(predicted, measured, strict=True)]
        rank = float(stats.spearmanr(predicted, measured).statistic)
        self.check = FitCheck(len(kept), len(left_out), statistics.median(errors), max(errors), rank)
        self._solve(samples)
        self.samples, self.measured_on = list(samples), dict(measured_on)
        return self.check

    def _solve(self, samples: Sequence[Sample]) -> None:
        """Non-negative least squares of the relative error."""
        rows = [self.row(sample.parts) for sample in samples]
        names = sorted({name for row in rows for name in row})
        design = np.array([[row.get(name, 0.0) / s.ms for name in names] for row, s in zip(rows, samples, strict=True)])
        scale = design.max(axis=0)  # columns of one size, for the solver's sake
        found, _ = optimize.nnls(design / scale, np.ones(len(samples)), maxiter=100 * len(names))
        self.weights = {name: float(ms) for name, ms in zip(names, found / scale, strict=True) if ms}
        self._known = {}

    def require(self, most: float) -> None:
        """Refuses a table that is not good enough to search by.

        Args:
            most: The largest median error on networks left out, e.g. 0.1 for 10 %.

        Raises:
            ValueError: Saying how to make a better one.
        """
        if self.check is None or not self.check.median_error <= most:
            raise BadValue(
                f'{self.path}: the latency table of {self.target} is not good enough to search by: {self.check}; '
                f'expected a median error of {most:.1%} at most (train_cfg.latency_error). Delete it and measure again '
                'on an idle machine, or with more networks (train_cfg.latency_networks)'
            )

    def save(self) -> None:
        """Writes the file; it is whole at every instant."""
        content: dict[str, Any] = dict(format=FORMAT, date=datetime.date.today().isoformat())
        content |= dict(target=self.target.to_dict(), input_shape=list(self.input_shape), measured_on=self.measured_on)
        content |= dict(made_for=self.made_for)
        content |= dict(check=self.check and asdict(self.check), weights_ms=self.weights)
        content |= dict(networks=[asdict(sample) for sample in self.samples], work=dict(sorted(self.work.items())))
        write_json(self.path, content)

    def _read(self) -> None:
        try:
            content = read_json(self.path)
        except ValueError as error:
            raise BadValue(f'{self.path}: not a JSON file ({error}); delete it to measure again') from None
        if content.get('format') != FORMAT:
            raise BadValue(
                f'{self.path}: not a latency table of a target ({FORMAT}); use another file, or delete it to measure '
                'again'
            )
        there = Target.read(content['target'])
        if there != self.target or tuple(content['input_shape']) != self.input_shape:
            raise BadValue(
                f'{self.path}: of another target: {there.to_dict()} at {content["input_shape"]} there, '
                f'{self.target.to_dict()} at {list(self.input_shape)} here; use another file or delete it to measure '
                'again'
            )
        made_for = content.get('made_for', {})
        if differing := differences(made_for, self.made_for) if self.made_for else []:
            raise BadValue(
                f'{self.path}: of other networks: {"; ".join(differing)}; use another file, or make one of '
                'the networks that this search is for'
            )
        self.made_for = made_for
        self.work, self.weights = dict(content['work']), dict(content['weights_ms'])
        self.check = FitCheck(**content['check']) if content['check'] else None
        self.measured_on = dict(content['measured_on'])
        self.samples = [
            Sample(n['name'], tuple(n['parts']), tuple(n['rounds_ms']), n['left_out']) for n in content['networks']
        ]


def choose(rows: Sequence[Mapping[str, float]], count: int) -> list[int]:
    """Networks from which the most is learned about each kind of work: one after another, that which differs most from
    what those before tell.

    Args:
        rows: The work of each candidate, by :meth:`FittedTable.row`.
        count: How many to choose.

    Returns:
        Their places in ``rows``.
    """
    names = sorted({name for row in rows for name in row})
    design = np.array([[row.get(name, 0.0) for name in names] for row in rows])
    design = design / design.std(axis=0).clip(min=1e-12 + design.max(axis=0) / 10)
    known = np.eye(len(names)) * 1e2  # the inverse of what is known
    chosen: list[int] = []
    for _ in range(min(count, len(rows))):
        told = np.einsum('ij,jk,ik->i', design, known, design)
        told[chosen] = -1.0
        best = int(told.argmax())
        chosen.append(best)
        step = known @ design[best]
        known -= np.outer(step, step) / (1 + design[best] @ step)
    return chosen
