"""Tensors that say they are on a GPU and compute on the CPU.

They refuse to be mixed with tensors of the CPU as CUDA's do, and it is noted what would make the program wait for a
GPU. Kernels, streams, graphs, NCCL and cuDNN are not emulated.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

CUDA = torch.device('cuda', 0)
CPU = torch.device('cpu')

aten = torch.ops.aten
INDEXING = {
    aten.index.Tensor,
    aten.index_put.default,
    aten.index_put_.default,
    aten._index_put_impl_.default,
    aten._unsafe_index.Tensor,
}
SOFTMAX = {aten._softmax.default, aten._log_softmax.default}
COPIES = {aten.copy_.default, aten._to_copy.default}
WAITING = {
    aten._local_scalar_dense.default,
    aten._unique2.default,
    aten.bincount.default,
    aten.equal.default,
    aten.is_nonzero.default,
    aten.masked_select.default,
    aten.nonzero.default,
    aten.repeat_interleave.Tensor,
    aten.unique_consecutive.default,
    aten.unique_dim.default,
}
"""What needs a number from the device to go on: a value, or the size of the result."""


class GPUTensor(torch.Tensor):
    """A tensor of ``device`` whose values are those of ``inner``, a tensor of the CPU."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor, device: torch.device) -> GPUTensor:
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=torch.device(device.type, device.index or 0),
        )
        made.inner = inner
        return made

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f'GPUTensor({self.inner}, {self.device})'

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise AssertionError(f'{func} of a tensor of an emulated GPU, after the emulation')


class EmulatedCuda(TorchDispatchMode):
    """Runs operations of tensors of ``'cuda'`` on the CPU.

    Attributes:
        waits: What waited for the device, each ``'operation at file:line'``.
        uploads: What was copied to the device so that the program waited for it: not ``non_blocking``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []
        self.uploads: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        there = [tensor for tensor in tensors if isinstance(tensor, GPUTensor)]
        wanted = torch.device(kwargs['device']) if kwargs.get('device') is not None else None
        if not there and (wanted is None or wanted.type != 'cuda'):
            return func(*args, **kwargs)
        if func in COPIES:
            device = self._copied(func, args, kwargs, wanted)
        else:
            device = wanted or _common_device(func, args, tensors)
            self._note(func, args, there)
        if wanted is not None:
            kwargs['device'] = CPU
        inner = tree_map(_inner, args)
        if func in SOFTMAX and inner[2]:  # from half precision to float32, which a CPU does not do at once
            inner = (inner[0].float(), inner[1], False)
        result = func(*inner, **tree_map(_inner, kwargs))
        if device.type == 'cpu':
            return result
        known = {id(tensor.inner): tensor for tensor in there}  # what an operation in place gives back

        def there_too(made: Any) -> Any:
            if not isinstance(made, Tensor):
                return made
            return known[id(made)] if id(made) in known else GPUTensor(made, device)

        return tree_map(there_too, result)

    def _note(self, func: Any, args: Any, there: list[GPUTensor]) -> None:
        if func in WAITING and there:
            self.waits.append(f'{func} at {caller()}')
        if func in INDEXING and isinstance(args[0], GPUTensor):
            for index in args[1]:
                if isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8):
                    self.waits.append(f'{func} by a mask at {caller()}')
                elif isinstance(index, Tensor) and not isinstance(index, GPUTensor) and index.dim():
                    self.uploads.append(f'index of {func} at {caller()}')

    def _copied(self, func: Any, args: Any, kwargs: dict[str, Any], wanted: torch.device | None) -> torch.device:
        """Notes a copy between devices; returns the device of the result."""
        if func is aten.copy_.default:
            source, target = args[1].device, args[0].device
            blocking = not (args[2] if len(args) > 2 else kwargs.get('non_blocking', False))
        else:
            source, target = args[0].device, wanted or args[0].device
            blocking = not kwargs.get('non_blocking', False)
            kwargs.pop('pin_memory', None)
        if source.type == 'cuda' and target.type == 'cpu':
            self.waits.append(f'copy to the CPU at {caller()}')
        elif source.type == 'cpu' and target.type == 'cuda' and blocking:
            self.uploads.append(f'copy to the GPU at {caller()}')
        return target


class EmulatedFunctions(TorchFunctionMode):
    """What PyTorch itself does not do for CUDA tensors of a class of ours, or without CUDA.

    Attention: the choice of a kernel is not to be had; widths that CUDA's kernels without the N x N matrix do not take
    are refused.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is Tensor.tolist and isinstance(args[0], GPUTensor):
            return args[0].cpu().tolist()
        if func is F.scaled_dot_product_attention and args[0].device.type == 'cuda':
            return _attention(*args[:3], **kwargs)
        return func(*args, **kwargs)


def _attention(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    for tensor in (query, key, value):
        if tensor.dtype != value.dtype or tensor.shape[-1] % 8 or tensor.stride(-1) != 1:
            found = f'{tuple(tensor.shape)} {tensor.dtype} of strides {tensor.stride()}'
            raise RuntimeError(f'no fused kernel for {found} beside {value.dtype}')
    with torch.autocast('cuda', enabled=False):
        return torch.softmax((query @ key.transpose(-2, -1)).float() * scale, -1).to(value.dtype) @ value


def _inner(leaf: Any) -> Any:
    return leaf.inner if isinstance(leaf, GPUTensor) else leaf


def _common_device(func: Any, args: Any, tensors: list[Tensor]) -> torch.device:
    """The device of an operation's tensors; refuses those of several, where CUDA does."""
    devices = {tensor.device for tensor in tensors if tensor.dim()}
    if func in INDEXING and isinstance(args[0], GPUTensor):
        indices = {index.device for index in args[1] if isinstance(index, Tensor)}
        devices -= indices & {CPU}
        values = args[2] if len(args) > 2 else None
        if isinstance(values, Tensor) and values.dim() and values.device != args[0].device:
            devices.add(values.device)
    if len(devices) > 1:
        raise RuntimeError(f'{func}: expected all tensors on one device, found {sorted(map(str, devices))}')
    return devices.pop() if devices else next(t.device for t in tensors if t.device.type == 'cuda')


def caller() -> str:
    """The innermost line of ours or OpenMMLab's that led here."""
    frame = sys._getframe(2)
    fallback = ''
    while frame is not None:
        path = frame.f_code.co_filename
        place = '/'.join(path.rsplit('/', 3)[1:]) + f':{frame.f_lineno}'
        if any(f'/{package}/' in path for package in ('hyctas_mm', 'mmseg', 'mmdet', 'mmengine', 'mmcv')):
            return place
        if '/tests/' in path and not path.endswith('emulated/cuda.py'):
            fallback = fallback or place
        frame = frame.f_back  # type: ignore[assignment]
    return fallback


@contextmanager
def emulated_cuda() -> Iterator[EmulatedCuda]:
    """Two GPUs, emulated; load the guard before."""
    torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(..., device='cuda') makes it on the CPU and copies
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # parameters of another type cannot be swapped in
    try:
        with EmulatedFunctions(), EmulatedCuda() as mode:
            yield mode
    finally:
        torch._C._set_only_lift_cpu_tensors(False)
        torch.__future__.set_overwrite_module_params_on_conversion(False)
