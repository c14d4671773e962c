"""What a search space can do, without a search: random networks of several spaces at equal latencies, trained alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from scipy import stats

from hyctas_mm.archs import Architecture, SearchSpace
from hyctas_mm.engine.configs import use_scope
from hyctas_mm.engine.progress import Progress
from hyctas_mm.evaluators.trained_networks import TrainedNetworks, mean_and_std, mean_of_seeds
from hyctas_mm.files import read_json, write_json
from hyctas_mm.studies.random_networks import RandomNetworks

NETWORKS = 'networks.json'
"""All that is known of the networks: copied into another folder, what it holds is neither drawn nor trained again."""


@dataclass(frozen=True)
class Contest:
    """Spaces compared by random networks of theirs.

    Args:
        recipe: Training config of any fixed network.
        spaces: Their settings by name; each is compared with the one before it.
        input_hw: Height and width that latency is measured at.
        latencies: For each latency in milliseconds the spaces' ``base_channels``. A network is taken if it is within
            5 %; far from what most networks of a base take, what is found is odd.
        per_latency: Networks of each space at each latency.
        seeds: Of the trainings.
        metric: The score, e.g. ``'mIoU'``.
        folder: Where networks are kept, and all that is known of them in ``networks.json``.
        device: Where latency is measured.
    """

    recipe: Config
    spaces: Mapping[str, Mapping[str, Any]]
    input_hw: tuple[int, int]
    latencies: Mapping[float, int]
    per_latency: int
    seeds: Sequence[int]
    metric: str
    folder: Path
    device: torch.device

    def __post_init__(self) -> None:
        use_scope(self.recipe)

    def draw(self) -> dict[str, dict[str, Any]]:
        """The networks in the order in which they are trained: whatever is finished at any time is about as much of
        each space and latency. What was drawn is kept.
        """
        path = self.folder / NETWORKS
        known = read_json(path)
        groups = [
            (number, latency, name)
            for number in range(self.per_latency)
            for latency in self.latencies
            for name in self.spaces
        ]
        progress, drawings = Progress('networks drawn', len(groups)), dict[int, RandomNetworks]()
        for done, (number, latency, name) in enumerate(groups, 1):
            key = f'{name} {latency:g} {number}'
            if key not in known:
                base = self.latencies[latency]
                drawing = drawings.setdefault(base, RandomNetworks(self.recipe, base, self.input_hw, self.device))
                rng = np.random.default_rng([round(1000 * latency), number, *name.encode()])
                space = SearchSpace.from_dict(dict(self.spaces[name], base_channels=base))
                arch, costs = drawing.draw(space, latency, rng)
                entry = dict(space=name, target_ms=latency, base_channels=base, archid=arch.archid, costs=costs)
                known[key] = entry | dict(arch=arch.to_dict())
                write_json(path, known)
            progress.update(done)
        keys = [f'{name} {latency:g} {number}' for number, latency, name in groups]
        return {key: known[key] for key in keys}

    def train(self, shard: int = 0, num_shards: int = 1) -> dict[str, Any]:
        """Trains the networks, or every ``num_shards``-th of them from the ``shard``-th on, and compares what is
        finished.
        """
        drawn = self.draw()
        networks = {base: TrainedNetworks(self.folder, self.recipe, base) for base in self.latencies.values()}
        for number, entry in enumerate(drawn.values()):
            own, arch = networks[entry['base_channels']], Architecture.from_dict(entry['arch'])
            scores = entry.setdefault('scores', {})
            if number % num_shards == shard and not {str(seed) for seed in self.seeds} <= scores.keys():
                own.train([arch], self.seeds, self.metric)
            scores |= {str(seed): score for seed, score in own.finished(arch, self.metric).items()}
            write_json(self.folder / NETWORKS, read_json(self.folder / NETWORKS) | drawn)
        return self.result(list(drawn.values()))

    def result(self, drawn: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """For each space and latency the mean, standard deviation and best of its networks, and the difference of
        their mean to that of the space before with its 95 % interval (Welch's); over all latencies too, where each
        network's score is taken less the mean of all at its latency.
        """
        finished = [entry for entry in drawn if entry['scores']]
        score = [mean_of_seeds(entry['scores']) for entry in finished]
        rows: list[dict[str, Any]] = []
        for latency in (*self.latencies, None):
            there = [n for n, entry in enumerate(finished) if latency in (None, entry['target_ms'])]
            level: dict[float, float] = {}
            for ms in {finished[n]['target_ms'] for n in there} if latency is None else ():
                level[ms] = float(np.mean([s for s, e in zip(score, finished, strict=True) if e['target_ms'] == ms]))
            before: list[float] = []
            for name in self.spaces:
                own = [n for n in there if finished[n]['space'] == name]
                values = [score[n] - level.get(finished[n]['target_ms'], 0.0) for n in own]
                row: dict[str, Any] = dict(space=name, target_ms=latency, networks=len(values))
                if values:
                    row |= mean_and_std(values) | dict(best=max(values))
                if min(len(values), len(before)) > 1:
                    test = stats.ttest_ind(values, before, equal_var=False)
                    row |= dict(gain=np.mean(values) - np.mean(before), interval=list(test.confidence_interval(0.95)))
                rows.append(row)
                before = values
        return dict(
            metric=self.metric,
            seeds=list(self.seeds),
            input_hw=list(self.input_hw),
            latencies={f'{ms:g}': base for ms, base in self.latencies.items()},
            spaces=dict(self.spaces),
            rows=rows,
            finished=len(finished),
        )
