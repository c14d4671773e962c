"""How far a latency table can be trusted: its predictions against whole networks."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from scipy import stats
from torch import nn

from hyctas_mm.costs.latency import measure_interleaved
from hyctas_mm.costs.latency_table import LatencyTable, materialise
from hyctas_mm.errors import BadValue


@dataclass(frozen=True)
class TableCheck:
    """Predictions beside measurements of the same networks.

    Attributes:
        predicted_ms: By the table.
        rounds_ms: For each network the median of each round.
    """

    predicted_ms: tuple[float, ...]
    rounds_ms: tuple[tuple[float, ...], ...]

    @property
    def measured_ms(self) -> list[float]:
        """For each network its quietest round, as for the parts in :meth:`LatencyTable.fill`."""
        return [min(rounds) for rounds in self.rounds_ms]

    @property
    def errors(self) -> list[float]:
        """Predicted less measured, as a fraction of measured."""
        return [p / m - 1 for p, m in zip(self.predicted_ms, self.measured_ms, strict=True)]

    @property
    def noise(self) -> float:
        """The machine's own: median over networks and neighbouring rounds of the relative difference between measuring
        once and again.
        """
        pairs = [pair for rounds in self.rounds_ms for pair in itertools.pairwise(rounds)]
        return statistics.median(abs(a - b) / ((a + b) / 2) for a, b in pairs)

    def summary(self) -> dict[str, float]:
        """``median_error`` and ``worst_error`` (absolute, relative), ``mean_error`` (signed), ``spearman``,
        ``kendall`` and ``noise``.

        Also ``drift``, the median of measured by predicted: how much slower the machine is now than when the table was
        measured, and ``median_error_beyond_drift``, the error that is left when the predictions are multiplied by it.
        """
        sizes = [abs(error) for error in self.errors]
        drift = statistics.median(m / p for p, m in zip(self.predicted_ms, self.measured_ms, strict=True))
        return dict(
            median_error=statistics.median(sizes),
            worst_error=max(sizes),
            mean_error=statistics.fmean(self.errors),
            spearman=float(stats.spearmanr(self.predicted_ms, self.measured_ms).statistic),
            kendall=float(stats.kendalltau(self.predicted_ms, self.measured_ms).statistic),
            noise=self.noise,
            drift=drift,
            median_error_beyond_drift=statistics.median(abs(drift * (1 + error) - 1) for error in self.errors),
        )


def check_table(table: LatencyTable, models: Sequence[nn.Module], seconds: float = 1.0, rounds: int = 3) -> TableCheck:
    """Measures whole networks as the table was measured, interleaved, and asks the table for them.

    Args:
        table: The table; it fills itself with parts that it lacks.
        models: On the meta device, eval mode, as they ship.
        seconds: Time for each network, all rounds together.
        rounds: Rounds, two or more, each visiting every network.

    Raises:
        ValueError: For fewer than three networks or two rounds, which tell neither an order nor the noise.
    """
    if len(models) < 3 or rounds < 2:
        raise BadValue(
            f'{len(models)} networks in {rounds} rounds; give at least 3 networks, for an order, and 2 rounds, for '
            'the noise'
        )
    # all of them, parts that the table lacks as carefully as those that it has
    list(table.fill(models, rounds, few=-1))
    predicted = [table.predict(model) for model in models]
    x = torch.rand(*table.input_shape, device=table.device)
    calls = [partial(materialise(model, table.device), x) for model in models]
    with table.measuring():
        times = measure_interleaved(calls, table.device, seconds, rounds, seconds / 4, table.clock)
    return TableCheck(tuple(predicted), tuple(tuple(statistics.median(r) for r in network) for network in times))
