"""What a part of a network makes a runtime do, in numbers that latency is nearly linear in."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from hyctas_mm.costs.parts import Part

FREE = frozenset(
    (
        *('view', '_unsafe_view', 'reshape', 'transpose', 't', 'permute', 'expand', 'unsqueeze', 'squeeze', 'alias'),
        *('detach', 'empty', 'empty_like', 'slice', 'select', 'split', 'split_with_sizes', 'unbind', 'as_strided'),
    )
)
"""Operations that move nothing, or that any runtime leaves out."""
PRODUCTS = frozenset(('bmm', 'mm', 'addmm', 'baddbmm'))
BLOCK = 16
"""Channels that a CPU computes at once: 24 take as long as 32."""


def work_of(part: Part) -> dict[str, float]:
    """Sums over the operations of a part: ``conv3`` and the like, 1e9 multiply-accumulates by kernel size, and
    ``conv3_blocks``, the same with channels rounded up; ``grouped``, those of convolutions in groups; ``product``,
    1e9 of matrix products; ``softmax``, ``resized`` and ``moved``, 1e6 elements written by softmaxes, resizing and all
    else; ``operations``, 1e3 of them; and ``a CLASS``, 1 for the part itself with what joins it to the next.

    Args:
        part: On the meta device, in eval mode, as it ships.
    """
    with torch.no_grad(), _Operations() as seen:
        part.module(*(torch.empty(*shape, device='meta') for shape in part.shapes))
    seen.work[f'a {type(part.module).__name__}'] = 1
    return dict(seen.work)


class _Operations(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.work: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        written = sum(x.numel() for x in tree_leaves(out) if isinstance(x, Tensor))
        if name not in FREE and written:
            self.work['operations'] += 1e-3  # type: ignore[assignment]
            self._add(name, args, written)
        return out

    def _add(self, name: str, args: Sequence[Any], written: int) -> None:
        found: dict[str, float] = {}
        if name == 'convolution':
            weight, groups = args[1], args[8]
            size = max(weight.shape[2:])
            macs = written * math.prod(weight.shape[1:]) / 1e9
            found = {'grouped' if groups > 1 else f'conv{size}': macs, 'moved': written / 1e6}
            if groups == 1:
                channels = weight.shape[0] * weight.shape[1]
                found[f'conv{size}_blocks'] = macs * math.prod(map(_blocks, weight.shape[:2])) / channels
        elif name in PRODUCTS:
            found = dict(product=written * args[-2].shape[-1] / 1e9, moved=written / 1e6)
        else:
            kind = 'softmax' if 'softmax' in name else 'resized' if 'upsample' in name else 'moved'
            found = {kind: written / 1e6}
        self.work.update(found)


def _blocks(channels: int) -> int:
    return -(-channels // BLOCK) * BLOCK
