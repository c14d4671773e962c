"""A network as a list of parts whose costs add up.

A part is a module marked ``cost_unit = True`` (a cell's op, the stem, a node ...) or, outside of those, a layer without children, together with
the shapes it was called with. Two parts with the same structure and shapes cost the same, so each is measured once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

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


def collect_parts(model: nn.Module, input_shape: Sequence[int]) -> list[Part]:
    """The parts of one forward pass in the order they are called.

    Args:
        model: Best built under ``torch.device('meta')``, so that nothing is computed.
        input_shape: (N, 3, H, W).
    """
    parts: list[Part] = []

    def record(module: nn.Module, args: tuple[Any, ...]) -> None:
        parts.append(Part(module, tuple(tuple(a.shape) for a in args if isinstance(a, Tensor))))

    hooks = [unit.register_forward_pre_hook(record) for unit in _units(model)]
    try:
        with torch.no_grad():
            model(torch.empty(*input_shape, device=next(model.parameters()).device))
    finally:
        for hook in hooks:
            hook.remove()
    return parts


def _units(module: nn.Module) -> Iterator[nn.Module]:
    children = list(module.children())
    if getattr(module, 'cost_unit', False) or not children:
        yield module
    else:
        for child in children:
            yield from _units(child)
