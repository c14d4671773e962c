"""Keeps sizes symbols while a network for varying sizes is traced."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.fx.experimental.symbolic_shapes import statically_known_true

from hyctas_mm.models import layers


@contextlib.contextmanager
def symbolic_sizes() -> Iterator[None]:
    """Inside, ``resize`` and ``half_size`` of :mod:`hyctas_mm.models.layers` work on symbols, wherever they were imported.

    As they are they compare sizes and turn them into numbers: the traced network would be right for the sizes it was traced with only.
    """
    swaps: dict[Any, Any] = {layers.resize: _resize, layers.half_size: _half_size}
    places = [(vars(module), name) for module in list(sys.modules.values()) for name in ('resize', 'half_size') if _holds(module, name, swaps)]
    originals = [(names, name, names[name]) for names, name in places]
    for names, name, original in originals:
        names[name] = swaps[original]
    try:
        yield
    finally:
        for names, name, original in originals:
            names[name] = original


def _holds(module: Any, name: str, swaps: dict[Any, Any]) -> bool:
    value = getattr(module, '__dict__', {}).get(name)
    return any(value is original for original in swaps)


def _resize(x: Tensor, size: Sequence[Any], align_corners: bool = False) -> Tensor:
    """Resizes unless the sizes are the same for every input; to the same size it changes nothing."""
    if all(statically_known_true(old == new) for old, new in zip(x.shape[2:], size, strict=True)):
        return x
    return F.interpolate(x, size=(size[0], size[1]), mode='bilinear', align_corners=align_corners)


def _half_size(x: Tensor) -> tuple[Any, Any]:
    return torch.sym_max(1, x.shape[2] // 2), torch.sym_max(1, x.shape[3] // 2)
