"""Memory of training: predicted from one step on the meta device, and measured."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.fx.experimental._config as meta_config
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from hyctas_mm.costs.peak_memory import PeakMemory
from hyctas_mm.costs.remembered_results import RememberedResults

Loss = Callable[[nn.Module], Tensor]
"""Makes a batch on the default device, computes the network's loss on it and returns the sum."""


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes in use at the peak of a training step.

    Attributes:
        weights: Parameters and buffers.
        optimizer: The optimiser's state.
        step: Everything made in the step and alive at its peak: batch, saved maps, losses, gradients.
    """

    weights: int
    optimizer: int
    step: int

    @property
    def total_gb(self) -> float:
        """All of them, in 1e9 bytes."""
        return (self.weights + self.optimizer + self.step) / 1e9


def predict_training_memory(model: nn.Module, loss: Loss, device_type: str = 'cuda', states: int = 1) -> TrainingMemory:
    """Predicts the peak memory of training from one step on the meta device, where nothing is computed and no memory
    is taken.

    Forward and backward pass run as they do in training, and every storage is counted from its first operation to its
    last reference: maps that the backward pass needs (each once, however many layers save it), upsampled logits and
    what the losses make of them, gradients as they come. Not counted are the scratch memory of kernels and what the
    allocator wastes.

    Args:
        model: In training mode, on any device; counted is a copy on the meta device.
        loss: See :data:`Loss`. Masks that depend on values are taken to choose everything.
        device_type: ``'cuda'`` or ``'cpu'``, whose fused attention is assumed.
        states: Tensors that the optimiser keeps for each parameter: 1 for SGD with momentum, 2 for Adam.
    """
    model = copy.deepcopy(model).to('meta')
    model.zero_grad()
    with (
        meta_config.patch(meta_nonzero_assume_all_nonzero=True),
        torch.device('meta'),
        FusedAttention(device_type),
        RememberedResults(),
        _LiveStorages() as live,
    ):
        loss(model).backward()
    parameters = _bytes(list(model.parameters()))
    return TrainingMemory(parameters + _bytes(list(model.buffers())), states * parameters, live.peak)


def measure_training_memory(
    build: Callable[[], nn.Module], loss: Loss, device: torch.device, steps: int = 2
) -> int | None:
    """Measures the peak memory of training with SGD and momentum, see :class:`PeakMemory`; on the CPU best
    ``in_fresh_process``.

    Args:
        build: Makes the network in training mode on the default device.
        loss: See :data:`Loss`.
        device: Where to train.
        steps: Training steps; from the second on the momentum is there.

    Returns:
        Bytes, or None on a system that does not tell.
    """
    _train(build, loss, device, 1)  # loads libraries and compiles kernels, which are not to be counted
    with PeakMemory(device) as peak:
        _train(build, loss, device, steps)
    return peak.bytes


def _train(build: Callable[[], nn.Module], loss: Loss, device: torch.device, steps: int) -> None:
    with device:
        model = build()
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)
        for _ in range(steps):
            optimizer.zero_grad()
            loss(model).backward()
            optimizer.step()


class FusedAttention(TorchFunctionMode):
    """Makes attention on the meta device save what attention without the N x N matrix saves.

    The meta device has no fused kernel: there PyTorch would multiply out and save that matrix, twice. Without it
    queries, keys, values, the result and one number for each position are saved; CUDA's kernels need widths that are
    multiples of 8.

    Args:
        device_type: ``'cuda'`` or ``'cpu'``.
    """

    def __init__(self, device_type: str) -> None:
        super().__init__()
        self.device_type = device_type

    def __torch_function__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        if func is not F.scaled_dot_product_attention:
            return func(*args, **(kwargs or {}))
        query, key, value = args[:3]
        width = value.shape[-1]
        if self.device_type != 'cpu':
            query, key, value = (_pad(x, -(-x.shape[-1] // 8) * 8) for x in (query, key, value))
        return _FusedAttention.apply(query, key, value)[..., :width]


class _FusedAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        out = query.new_empty(*query.shape[:-1], value.shape[-1])
        ctx.save_for_backward(query, key, value, out, query.new_empty(query.shape[:-1], dtype=torch.float32))
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        query, key, value = ctx.saved_tensors[:3]
        return torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)


class _LiveStorages(TorchDispatchMode):
    """Counts the bytes of the storages that operations make, while they live."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default and args[0].is_meta:
            return 1  # of ``item()``: losses average by such numbers, on which no memory depends
        outputs = func(*args, **(kwargs or {}))
        for tensor in outputs if isinstance(outputs, tuple | list) else (outputs,):
            if isinstance(tensor, Tensor):
                self._add(tensor.untyped_storage())
        return outputs

    def _add(self, storage: torch.UntypedStorage) -> None:
        key = id(storage)
        if key not in self._sizes:
            self._sizes[key] = storage.nbytes()
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._drop, key)

    def _drop(self, key: int) -> None:
        self.now -= self._sizes.pop(key)


def _pad(x: Tensor, width: int) -> Tensor:
    return F.pad(x, (0, width - x.shape[-1])) if x.shape[-1] < width else x


def _bytes(tensors: Sequence[Tensor]) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)
