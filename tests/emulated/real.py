"""What waits for a real GPU, noted as the emulation notes it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.emulated.cuda import COPIES, EmulatedCuda, caller


class RealCuda(TorchDispatchMode):
    """Notes the operations of which PyTorch itself warns that they wait for the device.

    Attributes:
        waits: As of :class:`~tests.emulated.cuda.EmulatedCuda`.
        uploads: Likewise.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []
        self.uploads: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter('always')
            made = func(*args, **kwargs)
        if any('synchronizing CUDA operation' in str(warning.message) for warning in told):
            given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
            source = given[1] if func is COPIES_IN_PLACE else given[0]
            there = [leaf for leaf in tree_leaves(made) if isinstance(leaf, Tensor) and leaf.device.type == 'cuda']
            upload = func in COPIES and source.device.type == 'cpu' and there
            (self.uploads if upload else self.waits).append(f'{func} at {caller()}')
        return made


COPIES_IN_PLACE = torch.ops.aten.copy_.default

AnyCuda = EmulatedCuda | RealCuda


@contextmanager
def real_cuda() -> Iterator[RealCuda]:
    """Makes PyTorch warn of what waits, and notes it."""
    torch.cuda.init()
    torch.cuda.set_sync_debug_mode('warn')
    try:
        with RealCuda() as mode:
            yield mode
    finally:
        torch.cuda.set_sync_debug_mode('default')
