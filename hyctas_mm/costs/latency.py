"""Measured latency."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Latency:
    """Times of one call in milliseconds."""

    median_ms: float
    p10_ms: float
    p90_ms: float
    runs: int

    @property
    def fps(self) -> float:
        """Calls per second at the median."""
        return 1e3 / self.median_ms


def measure_latency(call: Callable[[], object], device: torch.device, seconds: float = 6.0, warmup_seconds: float = 1.0) -> Latency:
    """Times ``call`` as the paper does: warm up, then run for six seconds (section 4.2).

    Args:
        call: One forward pass on inputs that are already on the device.
        device: Synchronised around each call if it is a GPU.
        seconds: How long to measure; at least five calls are made.
        warmup_seconds: How long to warm up; at least two calls are made.
    """

    def timed() -> float:
        _synchronise(device)
        start = time.perf_counter()
        call()
        _synchronise(device)
        return (time.perf_counter() - start) * 1e3

    with torch.inference_mode():
        _repeat(timed, warmup_seconds, at_least=2)
        times = sorted(_repeat(timed, seconds, at_least=5))
    return Latency(statistics.median(times), times[len(times) // 10], times[-1 - len(times) // 10], len(times))


def _repeat(timed: Callable[[], float], seconds: float, at_least: int) -> list[float]:
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < at_least or time.perf_counter() < end:
        times.append(timed())
    return times


def _synchronise(device: torch.device) -> None:
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
