"""Latency of any architecture from measurements of its parts.

Each distinct part is measured once, when a network first has it, and kept in a JSON file. What lies between the parts (concatenations,
upsampling, Python) is taken as a constant, fitted on whole networks.
"""

from __future__ import annotations

import copy
import datetime
import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hyctas_mm.costs.latency import measure_latency
from hyctas_mm.costs.parts import Part, collect_parts

FORMAT = 'hyctas_mm/latency-table-1'


class LatencyTable:
    """A latency table that fills itself.

    Args:
        path: JSON file, read if it exists.
        device: Where to measure.
        input_shape: Shape of the networks' input, (N, 3, H, W).
        seconds: Time spent on each new part.

    Raises:
        ValueError: If the file is of another device, number of threads or input shape; the message names them.
    """

    def __init__(self, path: str | Path, device: torch.device, input_shape: Sequence[int], seconds: float = 0.1) -> None:
        self.path, self.device, self.seconds = Path(path), device, seconds
        self.input_shape = tuple(input_shape)
        self.parts: dict[str, float] = {}
        self.overhead_ms: float | None = None
        self.post_processing_ms: float | None = None  # kept for whoever prices whole predictions
        if self.path.exists():
            self._read()

    @property
    def conditions(self) -> dict[str, Any]:
        """What the measurements hold for."""
        return dict(device=device_name(self.device), threads=torch.get_num_threads(), input_shape=list(self.input_shape), torch=torch.__version__)

    def predict(self, model: nn.Module) -> float:
        """Latency of a network in milliseconds.

        Args:
            model: In eval mode, as it ships, on the meta device.
        """
        parts = collect_parts(model, self.input_shape)
        missing = {p.key: p for p in parts if p.key not in self.parts}
        for key, part in missing.items():
            self.parts[key] = self._measure(part)
        if missing:
            self.save()
        total: float = sum((self.parts[p.key] for p in parts), self.overhead_ms or 0.0)
        return total

    def fit_overhead(self, models: Sequence[nn.Module]) -> None:
        """Sets the constant from whole networks (on the meta device, eval mode)."""
        shape = self.input_shape
        rest = []
        for model in models:
            real = materialise(model, self.device)
            x = torch.rand(*shape, device=self.device)
            whole = measure_latency(partial(real, x), self.device, seconds=10 * self.seconds, warmup_seconds=self.seconds)
            rest.append(whole.median_ms - (self.predict(model) - (self.overhead_ms or 0.0)))
        self.overhead_ms = statistics.median(rest)
        self.save()

    def _measure(self, part: Part) -> float:
        module = materialise(part.module, self.device)
        inputs = [torch.rand(*shape, device=self.device) for shape in part.shapes]
        return measure_latency(lambda: module(*inputs), self.device, self.seconds, self.seconds / 4).median_ms

    def save(self) -> None:
        """Writes the file; it is whole at every instant."""
        content: dict[str, Any] = dict(format=FORMAT, date=datetime.date.today().isoformat(), conditions=self.conditions)
        content |= dict(overhead_ms=self.overhead_ms, post_processing_ms=self.post_processing_ms, parts_ms=dict(sorted(self.parts.items())))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix('.tmp')
        temporary.write_text(json.dumps(content, indent=1), encoding='utf-8')
        os.replace(temporary, self.path)

    def _read(self) -> None:
        try:
            content = json.loads(self.path.read_text(encoding='utf-8'))
        except json.JSONDecodeError as error:
            raise ValueError(f'{self.path}: not a JSON file ({error}); delete it to measure again') from None
        if not isinstance(content, Mapping) or content.get('format') != FORMAT:
            raise ValueError(f'{self.path}: not a latency table of this version ({FORMAT}); delete it to measure again')
        there = content['conditions']
        differing = [f'{k}: {there.get(k)!r} there, {v!r} here' for k, v in self.conditions.items() if there.get(k) != v]
        if differing:
            raise ValueError(f'{self.path}: measured under other conditions ({"; ".join(differing)}); use another file or delete it to measure again')
        self.parts, self.overhead_ms = dict(content['parts_ms']), content['overhead_ms']
        self.post_processing_ms = content.get('post_processing_ms')


def materialise(module: nn.Module, device: torch.device) -> nn.Module:
    """A copy of a module from the meta device with random weights (latency does not depend on them, except that NaN and denormals are slow)."""
    real = copy.deepcopy(module).to_empty(device=device)
    with torch.no_grad():
        for tensor in (*real.parameters(), *real.buffers()):
            if tensor.is_floating_point():
                tensor.uniform_(0.01, 0.1)
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
