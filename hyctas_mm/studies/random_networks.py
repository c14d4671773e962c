"""Random networks of a wanted latency."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import torch
from mmengine.config import Config

from hyctas_mm.archs import Architecture, SearchSpace, load_arch
from hyctas_mm.costs import measure_latency
from hyctas_mm.engine.candidate_costs import CandidateCosts, network_to_time
from hyctas_mm.errors import BadValue
from hyctas_mm.files import alone
from hyctas_mm.models.subnet import subnet_model_cfg

TRIES, POOL, TOLERANCE = 200, 20, 0.05
MEASURED_FIRST, SECONDS = 8, 0.3


class RandomNetworks:
    """Draws networks of a latency. Whole networks are measured, and only those whose size promises the latency.

    Args:
        recipe: Config of any fixed network.
        base_channels: The filter multiplier.
        input_hw: Height and width that latency is measured at.
        device: Where it is measured: in processor time on one CPU thread, else in seconds that pass.
    """

    def __init__(self, recipe: Config, base_channels: int, input_hw: tuple[int, int], device: torch.device) -> None:
        self.model_cfg, self.device = subnet_model_cfg(recipe.model, load_arch('hyctas-s'), base_channels), device
        self.image = torch.randn(1, 3, *input_hw, device=device)
        self.sizes = CandidateCosts(self.model_cfg, self.image.shape)
        self.measured: list[tuple[list[float], float]] = []  # features and log of the latency

    def draw(
        self, space: SearchSpace, latency: float, rng: np.random.Generator, num_branches: int | None = None
    ) -> tuple[Architecture, dict[str, float]]:
        """The first random network found that takes so many milliseconds, within 5 %, and its costs.

        Raises:
            ValueError: If none is found.
        """
        for _ in range(TRIES):
            pool = [space.sample(rng, num_branches) for _ in range(POOL)]
            arch = min(pool, key=lambda arch: abs(self._guess(arch) - math.log(latency)))
            found = self._measure(arch)
            self.measured.append((self._features(arch), math.log(found)))
            if abs(found / latency - 1) <= TOLERANCE:
                return arch, self.sizes(arch) | dict(latency_ms=found)
        branches = f' of {num_branches} branch(es)' if num_branches else ''
        raise BadValue(f'none of {TRIES * POOL} random networks{branches} takes {latency:g} ms; ask for others')

    def _measure(self, arch: Architecture) -> float:
        network = network_to_time(self.model_cfg, arch, self.device)
        clock = 'cpu' if self.device.type == 'cpu' and torch.get_num_threads() == 1 else 'wall'
        with alone(), torch.inference_mode():
            return measure_latency(partial(network, self.image), self.device, SECONDS, SECONDS / 3, clock).median_ms

    def _features(self, arch: Architecture) -> list[float]:
        sizes = self.sizes(arch)
        return [1.0, math.log(sizes['macs_g']), math.log(sizes['params_m']), len(arch.layout().cells), len(arch.gates)]

    def _guess(self, arch: Architecture) -> float:
        """Log of the latency, from a line through what was measured so far."""
        if len(self.measured) < MEASURED_FIRST:
            return 0.0
        x, y = zip(*self.measured, strict=True)
        return float(np.linalg.lstsq(np.asarray(x), np.asarray(y))[0] @ self._features(arch))
