"""Measured latency."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from hyctas_mm.errors import BadValue

CLOCKS = ('wall', 'cpu')
"""``'wall'``: time that passes, what a user waits. ``'cpu'``: time that this process has the processor, with the
threads of a runtime, which is the same on an idle machine and not lengthened by what others run on a busy one; for one
thread on the CPU only.
"""

STEADY = 0.03
"""Warm-up ends when the medians of two windows in a row differ by at most this fraction."""


@dataclass(frozen=True)
class Latency:
    """Times of one call in milliseconds."""

    median_ms: float
    p10_ms: float
    p90_ms: float
    runs: int

    @classmethod
    def of(cls, times_ms: Sequence[float]) -> Latency:
        """Median, 10th and 90th percentile of measured times."""
        times = sorted(times_ms)
        return cls(statistics.median(times), times[len(times) // 10], times[-1 - len(times) // 10], len(times))

    @property
    def fps(self) -> float:
        """Calls per second at the median."""
        return 1e3 / self.median_ms


class Stopwatch:
    """Marks moments on a device and tells the milliseconds between them, CUDA's by events.

    Args:
        device: Where the calls run.
        clock: One of :data:`CLOCKS`.

    Raises:
        ValueError: For an unknown clock, or for ``'cpu'`` on another device or with several threads, whose work it
            would not see.
    """

    def __init__(self, device: torch.device, clock: str = 'wall') -> None:
        if clock not in CLOCKS:
            raise BadValue(f'clock {clock!r}; expected one of {", ".join(CLOCKS)}')
        if clock == 'cpu' and (device.type != 'cpu' or torch.get_num_threads() != 1):
            raise BadValue(
                f"clock 'cpu' counts one thread on the CPU; here are {torch.get_num_threads()} threads on "
                f"{device.type}; use 'wall'"
            )
        self.device = device
        self._now = time.perf_counter if clock == 'wall' else time.process_time

    def mark(self) -> Any:
        """This moment, after the work given to the device so far."""
        if self.device.type != 'cuda':
            return self._now()
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self.device))
        return event

    def between(self, start: Any, end: Any) -> float:
        """Milliseconds between two marks; waits for the device to reach the second."""
        if self.device.type != 'cuda':
            return float(end - start) * 1e3
        end.synchronize()
        return float(start.elapsed_time(end))

    def time(self, call: Callable[[], object]) -> float:
        """Milliseconds of one call."""
        start = self.mark()
        call()
        return self.between(start, self.mark())


def measure_latency(
    call: Callable[[], object],
    device: torch.device,
    seconds: float = 6.0,
    warmup_seconds: float = 1.0,
    clock: str = 'wall',
) -> Latency:
    """Times ``call`` as the paper does: warm up, then run for six seconds (section 4.2).

    Args:
        call: One forward pass on inputs that are already on the device.
        device: Where it runs.
        seconds: How long to measure; at least five calls are made.
        warmup_seconds: The longest that :func:`warm_up` may take.
        clock: One of :data:`CLOCKS`.
    """
    (rounds,) = measure_interleaved([call], device, seconds, 1, warmup_seconds, clock)
    return Latency.of(rounds[0])


def measure_interleaved(
    calls: Sequence[Callable[[], object]],
    device: torch.device,
    seconds: float = 6.0,
    rounds: int = 6,
    warmup_seconds: float = 1.0,
    clock: str = 'wall',
) -> list[list[list[float]]]:
    """Times several calls in rounds that visit all of them in turn, so that what slows the machine slows them alike.

    Args:
        calls: As in :func:`measure_latency`.
        device: Where they run.
        seconds: How long to measure each call, all rounds together; at least five times.
        rounds: Number of rounds.
        warmup_seconds: The longest that warming up one call may take.
        clock: One of :data:`CLOCKS`.

    Returns:
        For each call and each round the times in milliseconds.
    """
    watch = Stopwatch(device, clock)
    times: list[list[list[float]]] = [[] for _ in calls]
    with torch.inference_mode():
        for call in calls:
            warm_up(lambda call=call: watch.time(call), warmup_seconds)  # type: ignore[misc]
        for _ in range(rounds):
            for call, found in zip(calls, times, strict=True):
                if len(calls) > 1:
                    watch.time(call)  # brings back into the caches what the others put out
                found.append(_repeat(lambda call=call: watch.time(call), seconds / rounds, at_least=-(-5 // rounds)))  # type: ignore[misc]
    return times


def warm_up(timed: Callable[[], float], seconds: float) -> None:
    """Calls until it is steady: until the medians of two short windows in a row agree, or the time is over; at least
    twice.

    Args:
        timed: Makes one call and returns its time.
        seconds: The longest to take, but for the last window.
    """
    end = time.perf_counter() + seconds
    before = statistics.median(_repeat(timed, seconds / 10, at_least=1))
    while True:
        now = statistics.median(_repeat(timed, seconds / 10, at_least=1))
        if abs(now - before) <= STEADY * before or time.perf_counter() >= end:
            return
        before = now


def _repeat(timed: Callable[[], float], seconds: float, at_least: int) -> list[float]:
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < at_least or time.perf_counter() < end:
        times.append(timed())
    return times
