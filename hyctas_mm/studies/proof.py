"""Are the networks that searches chose better than random ones of like latency, trained alike?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from mmcv.cnn.utils import fuse_conv_bn
from mmengine.config import Config
from scipy.stats import binomtest

from hyctas_mm.archs import Architecture
from hyctas_mm.costs import Target
from hyctas_mm.costs.targets import on_device
from hyctas_mm.engine.candidate_costs import shipped_network
from hyctas_mm.engine.target_table import opener
from hyctas_mm.errors import BadValue
from hyctas_mm.evaluators.trained_networks import TrainedNetworks
from hyctas_mm.files import alone, read_json, write_json
from hyctas_mm.models.subnet import subnet_model_cfg
from hyctas_mm.search.hypervolume import Frame
from hyctas_mm.studies.correlation import Array

LATENCIES = 'latencies.json'
ROUNDS, SECONDS = 3, 0.2
DRAWS = 4000
DEGREE = 2
"""Of the polynomial in log latency that landmarks are fitted by."""


@dataclass(frozen=True)
class Proof:
    """Chosen networks and landmarks, trained by one recipe, with latencies of one run.

    Attributes:
        table: The landmarks.
        recipe: Their training config.
        chosen: The chosen networks of each search, by the search's name.
        seeds: Of the trainings of what was chosen, and of those of the landmarks that count.
        folder: Where trainings and latencies are kept.
        target: Where latency is measured; None for eager PyTorch.

    Raises:
        ValueError: If nothing was chosen, or the landmarks lack the seeds.
    """

    table: Mapping[str, Any]
    recipe: Config
    chosen: Mapping[str, Sequence[Architecture]]
    seeds: Sequence[int]
    folder: Path
    target: Target | None = None

    def __post_init__(self) -> None:
        if not any(self.chosen.values()):
            raise BadValue(f'{", ".join(self.chosen) or "no search"}: nothing was chosen; give finished searches')

    def run(self) -> dict[str, Any]:
        """Measures and trains what is not yet done.

        Returns:
            What ``proof.json`` holds: ``networks``, one for each choice, with ``score`` and ``gain`` over the fit of
            the landmarks at its latency, and :func:`summarise` of them; ``volumes``, for each search the share that its
            chosen networks dominate of the box of all networks, over log latency and score.
        """
        base_channels = int(self.table['space']['base_channels'])
        archs = {arch.archid: arch for found in self.chosen.values() for arch in found}
        there = {n['archid']: n for n in self.table['networks'] if set(map(str, self.seeds)) <= n['curves'].keys()}
        if len(there) <= DEGREE + 1:
            raise BadValue(f'{len(there)} landmarks have the seeds {list(self.seeds)}; give seeds that they have')
        landmarks = {name: Architecture.from_dict(n['arch']) for name, n in there.items()}
        latencies = self._latencies(landmarks | archs, base_channels)
        trained = TrainedNetworks(self.folder, self.recipe, base_channels).train(
            list(archs.values()), self.seeds, self.table['metric']
        )
        x = np.log([latencies[name] for name in landmarks])
        y = np.array([self._score(n) for n in there.values()])
        rows: list[dict[str, Any]] = [
            dict(
                search=name,
                archid=arch.archid,
                branches=len(arch.branches),
                latency_ms=latencies[arch.archid],
                scores={str(seed): score for seed, score in trained[arch.archid].items()},
                score=float(np.mean(list(trained[arch.archid].values()))),
            )
            for name, found in self.chosen.items()
            for arch in found
        ]
        at = np.log([row['latency_ms'] for row in rows])
        scores = np.array([row['score'] for row in rows])
        for row, gain in zip(rows, scores - np.polyval(np.polyfit(x, y, DEGREE), at), strict=True):
            row['gain'] = float(gain)
        points = np.stack([np.concatenate([x, at]), -np.concatenate([y, scores])], axis=1)
        frame, of_search = Frame.around(points), np.array([row['search'] for row in rows])
        return dict(
            metric=self.table['metric'],
            steps=self.table['steps'],
            target=self.target.to_dict() if self.target else None,
            landmarks=len(x),
            seeds=list(self.seeds),
            networks=rows,
            volumes={name: float(frame.volumes(points[len(x) :][of_search == name])[-1]) for name in self.chosen},
            **summarise(x, y, at, scores),
        )

    def _score(self, landmark: Mapping[str, Any]) -> float:
        """The mean over the seeds of the chosen networks: what a seed does to all trainings is then in both."""
        ends = [landmark['curves'][str(seed)]['scores'][str(self.table['steps'])]['val'] for seed in self.seeds]
        return float(np.mean([end[self.table['metric']] for end in ends]))

    def _latencies(self, archs: Mapping[str, Architecture], base_channels: int) -> dict[str, float]:
        """Milliseconds by archid, measured in rounds that visit all networks: the quietest two of each."""
        path = self.folder / (f'latencies_{self.target}.json'.replace(' ', '_') if self.target else LATENCIES)
        known = read_json(path)
        if not set(archs) <= set(known):
            target = self.target or Target.read('eager', threads=torch.get_num_threads())
            rounds: on_device.Rounds = {}
            with TemporaryDirectory() as files:
                opens = {name: self._opener(target, arch, base_channels, files) for name, arch in archs.items()}
                with alone():
                    clock = on_device.clock_for(target.threads)
                    for line in on_device.measure(opens, rounds, clock, ROUNDS, SECONDS):
                        if line:
                            print(line)
            known = {name: on_device.quietest(rounds[name]) for name in archs}
            write_json(path, known)
        return {name: float(known[name]) for name in archs}

    def _opener(
        self, target: Target, arch: Architecture, base_channels: int, files: str
    ) -> Callable[[], on_device.Call]:
        net = fuse_conv_bn(shipped_network(subnet_model_cfg(self.recipe.model, arch, base_channels), arch))
        shape = (1, 3, *self.table['input_hw'])
        return opener(target, net, shape, torch.device('cpu'), Path(files), arch.archid, {})


def summarise(x: Array, y: Array, at: Array, scores: Array, seed: int = 0) -> dict[str, Any]:
    """Gain of chosen networks over what a polynomial through landmarks gives at their latency.

    Args:
        x: (N,), logarithm of the landmarks' latency.
        y: (N,), their scores.
        at: (M,), logarithm of the chosen networks' latency.
        scores: (M,), their scores.
        seed: Of the bootstrap, which draws landmarks and chosen networks anew.

    Returns:
        ``gain``, the mean, its standard error ``se`` and 95 % ``interval``; ``above``, how many of the ``count`` chosen
        networks are above the fit; ``p``, the chance of as many or more (sign test).
    """
    gains = scores - np.polyval(np.polyfit(x, y, DEGREE), at)
    rng = np.random.default_rng(seed)
    drawn_anew = [(rng.integers(len(x), size=len(x)), rng.integers(len(at), size=len(at))) for _ in range(DRAWS)]
    these, those = (np.stack(found) for found in zip(*drawn_anew, strict=True))  # (DRAWS, N), (DRAWS, M)
    fits = np.linalg.pinv(np.vander(x, DEGREE + 1)[these]) @ y[these, None]  # (DRAWS, DEGREE + 1, 1)
    expected = np.vander(at, DEGREE + 1)[those] @ fits  # (DRAWS, M, 1)
    drawn = np.mean(scores[those] - expected[..., 0], axis=1)
    above = int((gains > 0).sum())
    return dict(
        gain=float(gains.mean()),
        se=float(drawn.std()),
        interval=np.quantile(drawn, (0.025, 0.975)).tolist(),
        above=above,
        count=len(at),
        p=float(binomtest(above, len(at), alternative='greater').pvalue),
    )
