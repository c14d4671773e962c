"""A network as a list of parts whose costs add up.

A part is a module marked ``cost_unit = True`` (a cell's op, the stem, a node ...) or, outside of those, a layer without
children, together with the shapes it was called with. Two parts with the same structure and shapes cost the same, so
each is measured once.
"""

from __future__ import annotations

import hashlib
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from hyctas_mm.costs.latency import Stopwatch, warm_up

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Part:
    """A module and the shapes of the tensors it was called with."""

    module: nn.Module
    shapes: tuple[Shape, ...]

    @property
    def key(self) -> str:
        """Name of this structure at these shapes, e.g. ``'LiteConv 1x48x32x64 3f2a9c1b'``."""
        digest = hashlib.sha1(repr(self.module).encode()).hexdigest()[:8]
        return f'{type(self.module).__name__} {"+".join("x".join(map(str, s)) for s in self.shapes)} {digest}'


def collect_parts(model: nn.Module, *shapes: Sequence[int]) -> list[Part]:
    """The parts of one forward pass in the order they are called.

    Args:
        model: Best built under ``torch.device('meta')``, so that nothing is computed.
        shapes: Of each input, (N, C, H, W).
    """
    parts: list[Part] = []

    def record(module: nn.Module, args: tuple[Any, ...]) -> None:
        parts.append(Part(module, tuple(tuple(a.shape) for a in args if isinstance(a, Tensor))))

    with _hooked(model, before=record):
        run_blank(model, shapes)
    return parts


def run_blank(model: nn.Module, shapes: Sequence[Sequence[int]]) -> Any:
    """The outputs of a model for inputs without content, on its device; on the meta device if it has no parameters."""
    device = next((parameter.device for parameter in model.parameters()), torch.device('meta'))
    inputs = [torch.empty(*shape, device=device) for shape in shapes]
    with torch.no_grad(), _QuickResizing():
        return model(*inputs)


class _QuickResizing(TorchFunctionMode):
    """Resizes on the meta device by making an empty map, for which PyTorch runs hundreds of small operations."""

    def __torch_function__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is F.interpolate and args and args[0].device.type == 'meta' and isinstance(kwargs.get('size'), tuple):
            return args[0].new_empty(*args[0].shape[:2], *kwargs['size'])
        return func(*args, **kwargs)


def time_parts(model: nn.Module, x: Tensor, watch: Stopwatch, seconds: float) -> list[float]:
    """The time of each part where it works: in whole forward passes, between the parts before and after it, with the
    caches as those leave them.

    A part repeated by itself has its input and weights in the caches and looks up to twice as fast as it is in a small
    network.

    Args:
        model: In eval mode, on the stopwatch's device.
        x: Its input, (N, 3, H, W), there.
        watch: Measures.
        seconds: How long to repeat the passes, seven of them at least.

    Returns:
        Milliseconds in the order of :func:`collect_parts`, the median over the passes.
    """
    starts: list[Any] = []
    ends: list[Any] = []
    found: list[list[float]] = []
    with (
        torch.inference_mode(),
        _hooked(model, before=lambda *_: starts.append(watch.mark()), after=lambda *_: ends.append(watch.mark())),
    ):
        warm_up(lambda: watch.time(lambda: model(x)), seconds / 4)
        stop = time.perf_counter() + seconds
        while len(found) < 7 or time.perf_counter() < stop:
            starts.clear()
            ends.clear()
            model(x)
            found.append([watch.between(start, end) for start, end in zip(starts, ends, strict=True)])
    return [statistics.median(times) for times in zip(*found, strict=True)]


@contextmanager
def _hooked(model: nn.Module, before: Callable[..., None], after: Callable[..., None] | None = None) -> Iterator[None]:
    with ExitStack() as hooks:
        for unit in _units(model):
            hooks.callback(unit.register_forward_pre_hook(before).remove)
            if after is not None:
                hooks.callback(unit.register_forward_hook(after).remove)
        yield


def _units(module: nn.Module) -> Iterator[nn.Module]:
    children = list(module.children())
    if getattr(module, 'cost_unit', False) or not children:
        yield module
    else:
        for child in children:
            yield from _units(child)
