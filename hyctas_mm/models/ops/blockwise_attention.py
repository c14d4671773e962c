"""Attention on a CPU, eager: at once where all similarities of an image are few, else by blocks of queries, with the
memory of one block.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

BLOCK = 2**18
"""Similarities of a block for each thread: 1 MB of float32, which a core's cache holds."""
SMALL = 576
"""Positions up to which all similarities of an image (1.3 MB) are computed, and kept for the backward pass."""
LEAST_QUERIES = 32
"""Fewer queries at once would make the products slow, whatever the cache holds."""


def small_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """``softmax(query key^T) value`` as it stands; see :func:`blockwise_attention`."""
    weights = torch.softmax(query @ key.transpose(1, 2), -1)  # (B, N, N)
    if value.stride(2) == 1:
        return weights @ value
    return (value.transpose(1, 2) @ weights.transpose(1, 2)).transpose(1, 2)  # the same, in the layout of value


def is_faster_by_blocks(positions: int, channels: int) -> bool:
    """Whether blocks are faster than PyTorch's fused CPU kernel, by measurement (``benchmarks/attention.py``).

    They are but for long narrow maps, where the exponential takes most of the time and the fused kernel's is faster.
    """
    return positions <= 2 * channels**2


def blockwise_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """``softmax(query key^T) value`` without scale, exactly, never keeping more similarities than a block has.

    PyTorch's fused CPU kernel wants queries and keys as wide as values. Here they are an eighth of that (as in the
    release), so padding them does much of its work for nothing. Nothing but inputs and result is kept for the backward
    pass, which computes the similarities again.

    Args:
        query: (B, N, K), any strides.
        key: (B, N, K).
        value: (B, N, C).

    Returns:
        (B, N, C), with the strides of ``value``.
    """
    return _Blockwise.apply(query, key, value)


def _blocks(batch: int, positions: int) -> Iterator[tuple[slice, slice]]:
    """Images and queries of each block: several small images at once, or part of a large one."""
    size = BLOCK * torch.get_num_threads()
    images = max(1, size // positions**2)
    queries = min(positions, max(LEAST_QUERIES, size // positions))
    for first in range(0, batch, images):
        for start in range(0, positions, queries):
            yield slice(first, first + images), slice(start, start + queries)


class _Blockwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        out = torch.empty_like(value)
        keys = key.transpose(1, 2)
        for images, queries in _blocks(*value.shape[:2]):
            weights = torch.softmax(query[images, queries] @ keys[images], -1)  # (images, queries, N)
            out[images, queries] = weights @ value[images]
        ctx.save_for_backward(query, key, value, out)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value, out = ctx.saved_tensors
        grad_query = torch.empty_like(query)
        grad_key, grad_value = torch.zeros_like(key), torch.zeros_like(value)
        keys, values = key.transpose(1, 2), value.transpose(1, 2)
        along = (grad * out).sum(-1, keepdim=True)  # (B, N, 1): what the softmax's normalisation takes back
        for images, queries in _blocks(*value.shape[:2]):
            weights = torch.softmax(query[images, queries] @ keys[images], -1)
            there = grad[images, queries]
            grad_value[images] += weights.transpose(1, 2) @ there
            grad_similarities = (there @ values[images]).sub_(along[images, queries]).mul_(weights)
            grad_query[images, queries] = grad_similarities @ key[images]
            grad_key[images] += grad_similarities.transpose(1, 2) @ query[images, queries]
        return grad_query, grad_key, grad_value
