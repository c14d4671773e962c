"""Landmarks: networks trained by themselves with several seeds, against which any way of judging is tried."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config

from hyctas_mm.archs import Architecture, SearchSpace
from hyctas_mm.engine.configs import use_scope
from hyctas_mm.engine.hooks.learning_curve_hook import LEARNING_CURVE
from hyctas_mm.engine.progress import Progress
from hyctas_mm.errors import BadValue
from hyctas_mm.evaluators.trained_networks import TrainedNetworks
from hyctas_mm.files import read_json, write_json
from hyctas_mm.studies.random_networks import RandomNetworks
from hyctas_mm.studies.spaces import NETWORKS


@dataclass(frozen=True)
class Landmarks:
    """Random networks of each number of branches, even over the logarithm of latency.

    Args:
        recipe: Training config of any fixed network, with a
            :class:`~hyctas_mm.engine.hooks.learning_curve_hook.LearningCurveHook`.
        space: The search space.
        input_hw: Height and width that latency is measured at.
        latency_ranges: Fastest and slowest network in milliseconds, for all or for each number of branches: networks
            of more branches do not get as fast.
        per_track: Networks of each number of branches.
        seeds: Of the trainings.
        folder: Where networks are kept, and all that is known of them in ``networks.json``.
        device: Where latency is measured.

    Raises:
        ValueError: If the recipe keeps no learning curve, or there are not as many ranges as numbers of branches.
    """

    recipe: Config
    space: SearchSpace
    input_hw: tuple[int, int]
    latency_ranges: Sequence[tuple[float, float]]
    per_track: int
    seeds: Sequence[int]
    folder: Path
    device: torch.device

    def __post_init__(self) -> None:
        if not any(hook['type'] == 'LearningCurveHook' for hook in self.recipe.get('custom_hooks') or ()):
            raise BadValue(f'{self.recipe.filename}: no LearningCurveHook in custom_hooks; landmarks need its scores')
        if len(self.latency_ranges) not in (1, len(self.space.tracks)):
            raise BadValue(
                f'{len(self.latency_ranges)} ranges of latency; expected one, or one for each of '
                f'{", ".join(map(str, self.space.tracks))} branches'
            )
        use_scope(self.recipe)

    def draw(self) -> dict[str, dict[str, Any]]:
        """The networks in the order in which they are trained; what was drawn is kept."""
        path = self.folder / NETWORKS
        known = read_json(path)
        places = np.random.default_rng(0).permutation(self.per_track)  # so that a part of them is even too
        groups = [(int(place), track) for place in places for track in self.space.tracks]
        every = [*self.latency_ranges] * (len(self.space.tracks) if len(self.latency_ranges) == 1 else 1)
        ranges = dict(zip(self.space.tracks, every, strict=True))
        progress = Progress('landmarks drawn', len(groups))
        networks = RandomNetworks(self.recipe, self.space.base_channels, self.input_hw, self.device)
        for done, (place, track) in enumerate(groups, 1):
            key = f'{track} {place}'
            if key not in known:
                low, high = map(math.log, ranges[track])
                latency = math.exp(low + (high - low) * (place + 0.5) / self.per_track)
                rng = np.random.default_rng([place, track])
                arch, costs = networks.draw(self.space, latency, rng, track)
                known[key] = dict(track=track, archid=arch.archid, costs=costs, arch=arch.to_dict())
                write_json(path, known)
            progress.update(done)
        keys = [f'{track} {place}' for place, track in groups]
        return {key: known[key] for key in keys}

    def train(self, metric: str, shard: int = 0, num_shards: int = 1) -> dict[str, Any]:
        """Trains the networks, or every ``num_shards``-th of them from the ``shard``-th on, first all with the first
        seed.

        Returns:
            All that is finished: for each network its architecture, costs, and by seed the learning curve.
        """
        drawn = self.draw()
        networks = TrainedNetworks(self.folder, self.recipe, self.space.base_channels)
        for seed in self.seeds:
            for number, entry in enumerate(drawn.values()):
                arch, curves = Architecture.from_dict(entry['arch']), entry.setdefault('curves', {})
                if number % num_shards == shard and str(seed) not in curves:
                    networks.train([arch], [seed], metric)
                if str(seed) not in curves and seed in networks.finished(arch, metric):
                    curves[str(seed)] = read_json(networks.folder_of(arch) / f'train{seed}' / LEARNING_CURVE)
                write_json(self.folder / NETWORKS, read_json(self.folder / NETWORKS) | drawn)
        return dict(
            metric=metric,
            steps=int(self.recipe.train_cfg.max_iters),
            space=self.space.to_dict(),
            input_hw=list(self.input_hw),
            networks=[entry for entry in drawn.values() if entry['curves']],
        )
