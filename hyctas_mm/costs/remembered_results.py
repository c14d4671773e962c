"""The meta device, quick."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_Like = tuple[torch.Size, tuple[int, ...], torch.dtype]
_made: dict[Any, tuple[type | None, list[_Like | None]] | None] = {}
"""What operations on the meta device make, by operation and arguments: the type of a sequence of results, and their
shapes, strides and number types. None for operations that must be called: they change an argument or return a view.
"""
MADE_AT_MOST = 100_000


class RememberedResults(TorchDispatchMode):
    """Operations on the meta device are called once for arguments of the same shapes; afterwards their results are made
    anew.

    The meta device has nothing to find but shapes, for many operations in Python, which takes up to 0.03 s.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        key = (func, _description(args), _description(tuple(kwargs.items())))
        known = _made.get(key)
        if known is None:
            outputs = func(*args, **kwargs)
            if key not in _made and len(_made) < MADE_AT_MOST:
                _made[key] = _results_like(func, outputs, [*args, *kwargs.values()])
            return outputs
        kind, likes = known
        tensors = [None if like is None else _new(*like) for like in likes]
        return kind(tensors) if kind else tensors[0]


def _description(value: Any) -> Any:
    """What results depend on, of an argument; hashable."""
    if isinstance(value, Tensor):
        return value.shape, value.stride(), value.dtype, value.device
    if isinstance(value, tuple | list):
        return tuple(_description(part) for part in value)
    return type(value), value


def _results_like(func: Any, outputs: Any, arguments: list[Any]) -> tuple[type | None, list[_Like | None]] | None:
    """What is kept of an operation's results."""
    kind = type(outputs) if isinstance(outputs, tuple | list) else None
    results = list(outputs) if kind else [outputs]
    tensors = [x for x in results if isinstance(x, Tensor)]
    inputs = [x for x in tree_leaves(arguments) if isinstance(x, Tensor)]
    known = all(x.is_meta for x in (*tensors, *inputs)) and all(x is None or isinstance(x, Tensor) for x in results)
    if func._schema.is_mutable or not known:
        return None
    likes: list[_Like | None] = [None if x is None else (x.shape, x.stride(), x.dtype) for x in results]
    storages = {x.untyped_storage()._cdata for x in tensors}
    given = {x.untyped_storage()._cdata for x in inputs}
    whole = all(
        _new(x.shape, x.stride(), x.dtype).untyped_storage().nbytes() == x.untyped_storage().nbytes() for x in tensors
    )
    return (kind, likes) if len(storages - given) == len(tensors) and whole else None


def _new(shape: torch.Size, strides: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    with torch._C.DisableTorchFunction():  # torch.device's, which is asked about each
        return torch.empty_strided(shape, strides, dtype=dtype, device='meta')
