"""Latency of any architecture from measurements of its parts.

Each distinct part is measured once, in its place in a network that has it, and kept in a JSON file. What lies between
the parts (concatenations, upsampling, Python) is taken as a constant for each part, fitted on whole networks.
"""

from __future__ import annotations

import copy
import datetime
import json
import platform
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hyctas_mm.costs.latency import Stopwatch, measure_latency
from hyctas_mm.costs.parts import Part, collect_parts, time_parts
from hyctas_mm.errors import BadValue
from hyctas_mm.files import write_json

FORMAT = 'hyctas_mm/latency-table-2'


class LatencyTable:
    """A latency table that fills itself.

    Args:
        path: JSON file, read if it exists.
        device: Where to measure.
        input_shape: Shape of the networks' input, (N, 3, H, W).
        seconds: Time spent on each new part.
        clock: One of :data:`~hyctas_mm.costs.latency.CLOCKS`. None: that of the file; of a new one processor time for
            one thread on a CPU, which other work on the machine hardly lengthens, else the time that passes.

    Attributes:
        parts: Milliseconds of each part by its key.
        overhead_ms: Milliseconds between two parts, None before :meth:`fit_overhead`.
        post_processing_ms: Kept for whoever prices whole predictions.

    Raises:
        ValueError: If the file was measured under other :attr:`conditions`; the message names them.
    """

    def __init__(
        self,
        path: str | Path,
        device: torch.device,
        input_shape: Sequence[int],
        seconds: float = 0.1,
        clock: str | None = None,
    ) -> None:
        self.path, self.device, self.seconds = Path(path), device, seconds
        alone = device.type == 'cpu' and torch.get_num_threads() == 1
        self.clock, self._any_clock = clock or ('cpu' if alone else 'wall'), clock is None
        self.input_shape = tuple(input_shape)
        self.parts: dict[str, float] = {}
        self.overhead_ms: float | None = None
        self.post_processing_ms: dict[str, float] = {}
        if self.path.exists():
            self._read()

    @property
    def conditions(self) -> dict[str, Any]:
        """What the measurements hold for."""
        here: dict[str, Any] = dict(device=device_name(self.device))
        if self.device.type == 'cuda':  # where threads of the CPU, one each under torchrun, compute nothing
            tf32 = dict(convolutions=torch.backends.cudnn.allow_tf32, products=torch.backends.cuda.matmul.allow_tf32)
            here |= dict(backend='eager', cudnn_benchmark=True, tf32=tf32, cuda=torch.version.cuda)
            here |= dict(cudnn=torch.backends.cudnn.version())
        else:
            here |= dict(threads=torch.get_num_threads())
        return here | dict(input_shape=list(self.input_shape), clock=self.clock, torch=torch.__version__)

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Measures with cuDNN's search for the fastest kernels, whatever the program does elsewhere."""
        before = torch.backends.cudnn.benchmark
        torch.backends.cudnn.benchmark = before or self.device.type == 'cuda'
        try:
            yield
        finally:
            torch.backends.cudnn.benchmark = before

    def predict(self, model: nn.Module) -> float:
        """Latency of a network in milliseconds.

        Args:
            model: In eval mode, as it ships, on the meta device.
        """
        parts = collect_parts(model, self.input_shape)
        missing = self._missing(parts)
        if missing:
            self._add(missing, self._measure(model, parts, len(missing)))
        return self._sum([part.key for part in parts])

    def look_up(self, keys: Sequence[str]) -> float | None:
        """What :meth:`predict` gives for a network of these parts, in their order; None if one was not measured yet."""
        return self._sum(keys) if all(key in self.parts for key in keys) else None

    def _sum(self, keys: Sequence[str]) -> float:
        return sum(self.parts[key] for key in keys) + (self.overhead_ms or 0.0) * len(keys)

    def fill(
        self, models: Iterable[nn.Module], rounds: int = 3, few: float = 0.01, window: int = 20
    ) -> Iterator[tuple[int, int]]:
        """Measures the parts of networks until new ones have become rare, then again in further rounds.

        A part that several networks have, as all have the stem, is the median over them: how warm the caches are
        depends on the network. In each network its quietest round counts: what slows a shared machine comes and goes in
        seconds, and rounds that visit all networks meet it at different parts.

        Args:
            models: As in :meth:`predict`, e.g. of random architectures.
            rounds: How often each part is measured.
            few: No more networks are taken when this fraction or less of the parts of the last ``window`` ones was new.
            window: Number of networks looked back on.

        Yields:
            For each network its number of parts and how many of them were new.
        """
        before, history = set(self.parts), []
        measured: list[tuple[nn.Module, list[Part], int, dict[str, float]]] = []
        for model in models:
            parts = collect_parts(model, self.input_shape)
            missing = self._missing(parts)
            if missing:
                measured.append((model, parts, len(missing), self._measure(model, parts, len(missing))))
                self._add(missing, measured[-1][3])
            history.append((len(parts), len(missing)))
            yield history[-1]
            total, new = map(sum, zip(*history[-window:], strict=True))
            if len(history) >= window and new <= few * total:
                break
        for _ in range(rounds - 1):
            for model, parts, count, times in measured:
                again = self._measure(model, parts, count)
                times.update((key, min(ms, again[key])) for key, ms in times.items())
        for key in self.parts.keys() - before:
            self.parts[key] = statistics.median(times[key] for *_, times in measured if key in times)
        self.save()

    def fit_overhead(self, models: Sequence[nn.Module], rounds: int = 3) -> None:
        """Sets the constant from whole networks (on the meta device, eval mode).

        A network and its own parts are measured one right after the other, so that a machine which has become slower
        does not look like overhead.
        """
        watch, x = Stopwatch(self.device, self.clock), torch.rand(*self.input_shape, device=self.device)
        rest = []
        for model in models:
            real = materialise(model, self.device)
            for _ in range(rounds):
                with self.measuring():
                    parts = time_parts(real, x, watch, self.seconds)
                    whole = measure_latency(partial(real, x), self.device, self.seconds, self.seconds / 4, self.clock)
                rest.append((whole.median_ms - sum(parts)) / len(parts))
        self.overhead_ms = statistics.median(rest)
        self.save()

    def _missing(self, parts: Sequence[Part]) -> set[str]:
        return {part.key for part in parts if part.key not in self.parts}

    def _add(self, keys: Iterable[str], times: Mapping[str, float]) -> None:
        self.parts.update((key, times[key]) for key in keys)
        self.save()

    def _measure(self, model: nn.Module, parts: Sequence[Part], new: int) -> dict[str, float]:
        """Milliseconds of all parts of a network by key, with the time for ``new`` of them."""
        x = torch.rand(*self.input_shape, device=self.device)
        real, watch = materialise(model, self.device), Stopwatch(self.device, self.clock)
        with self.measuring():
            times = time_parts(real, x, watch, self.seconds * new)
        found: dict[str, list[float]] = {}
        for part, ms in zip(parts, times, strict=True):
            found.setdefault(part.key, []).append(ms)
        return {key: statistics.fmean(several) for key, several in found.items()}

    def save(self) -> None:
        """Writes the file; it is whole at every instant."""
        content: dict[str, Any] = dict(
            format=FORMAT, date=datetime.date.today().isoformat(), conditions=self.conditions
        )
        content |= dict(
            overhead_ms=self.overhead_ms,
            post_processing_ms=self.post_processing_ms,
            parts_ms=dict(sorted(self.parts.items())),
        )
        write_json(self.path, content)

    def _read(self) -> None:
        try:
            content = json.loads(self.path.read_text(encoding='utf-8'))
        except json.JSONDecodeError as error:
            raise BadValue(f'{self.path}: not a JSON file ({error}); delete it to measure again') from None
        if isinstance(content, Mapping) and content.get('target'):
            raise BadValue(f'{self.path}: the table of a target; set train_cfg.target={content["target"]!r} too')
        if not isinstance(content, Mapping) or content.get('format') != FORMAT:
            raise BadValue(f'{self.path}: not a latency table of this version ({FORMAT}); delete it to measure again')
        there = content['conditions']
        if self._any_clock:
            self.clock = there.get('clock', self.clock)
        differing = [
            f'{k}: {there.get(k)!r} there, {v!r} here' for k, v in self.conditions.items() if there.get(k) != v
        ]
        if differing:
            raise BadValue(
                f'{self.path}: measured under other conditions ({"; ".join(differing)}); use another file or delete '
                'it to measure again'
            )
        self.parts, self.overhead_ms = dict(content['parts_ms']), content['overhead_ms']
        self.post_processing_ms = dict(content.get('post_processing_ms') or {})


def materialise(module: nn.Module, device: torch.device) -> nn.Module:
    """A copy of a module from the meta device with random weights of a size that keeps maps finite: latency does not
    depend on them otherwise.
    """
    real = copy.deepcopy(module).to_empty(device=device)
    with torch.no_grad():
        for tensor in (*real.parameters(), *real.buffers()):
            if tensor.is_floating_point():
                fan_in = tensor[0].numel() if tensor.dim() > 1 else 1
                tensor.uniform_(0.5 / fan_in, 1.5 / fan_in)
    return real.eval()


def device_name(device: torch.device) -> str:
    """The device in words."""
    if device.type == 'cuda':
        return str(torch.cuda.get_device_name(device))
    return f'{device.type} {_cpu_model() or platform.processor() or platform.machine()}'


def _cpu_model() -> str:
    info = Path('/proc/cpuinfo')
    lines = info.read_text(encoding='utf-8').splitlines() if info.exists() else []
    return next((line.split(':', 1)[1].strip() for line in lines if line.startswith('model name')), '')
