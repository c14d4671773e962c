"""Batch norm over the images of all processes.

PyTorch's ``SyncBatchNorm`` refuses tensors of a CPU, and knows nothing of a slimmable norm's slices. This one computes
the same with any backend of ``torch.distributed``, and so can be compared with one process on a machine without a GPU.
On a GPU it calls PyTorch's own kernels.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules._functions import SyncBatchNorm as PyTorchs


class SyncedBatchNorm2d(nn.BatchNorm2d):
    """What a fixed network has for ``norm_cfg=dict(type='SyncBN')``.

    Attributes:
        synced: Whether processes normalise together; a network that one of them trains or recalibrates alone must not
            wait for the others.
    """

    synced = True

    def forward(self, x: Tensor) -> Tensor:
        if not together(self):
            return super().forward(x)
        self.num_batches_tracked.add_(1)
        momentum = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        return synced_batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, momentum, self.eps)


def together(norm: Any) -> bool:
    """Whether a norm normalises over the batches of several processes at present."""
    synced = norm.training and getattr(norm, 'synced', False)
    return synced and dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def synced_batch_norm(
    x: Tensor, running_mean: Tensor, running_var: Tensor, weight: Tensor, bias: Tensor, momentum: float, eps: float
) -> Tensor:
    """``F.batch_norm`` in training, over the batches of all processes.

    Args:
        x: Maps of this process, (B, C, H, W); B, H and W may differ between processes.
        running_mean: Updated in place, alike in all processes, (C,).
        running_var: The same.
        weight: (C,).
        bias: (C,).
        momentum: Weight of the new statistics.
        eps: Added to the variance.
    """
    if x.is_cuda:
        group = dist.group.WORLD
        statistics = (running_mean, running_var, eps, momentum)
        return PyTorchs.apply(x, weight, bias, *statistics, group, dist.get_world_size())
    return _SyncedBatchNorm.apply(x, weight, bias, running_mean, running_var, momentum, eps)


class _SyncedBatchNorm(torch.autograd.Function):
    """One exchange in each direction.

    A process's gradients of ``weight`` and ``bias`` are those of its own maps, which DistributedDataParallel averages;
    that of ``x`` has the losses of all processes in it.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        running_mean: Tensor,
        running_var: Tensor,
        momentum: float,
        eps: float,
    ) -> Tensor:
        maps = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        own_var, own_mean = torch.var_mean(maps, dim=(0, 2, 3), correction=0)
        count = own_mean.new_full((1,), maps.numel() / maps.shape[1])
        # All processes' statistics by adding up a table in which each fills its row: exact, and any backend can.
        table = own_mean.new_zeros(dist.get_world_size(), 2 * len(own_mean) + 1)
        table[dist.get_rank()] = torch.cat([own_mean, own_var, count])
        dist.all_reduce(table)
        means, variances, counts = table[:, : len(own_mean)], table[:, len(own_mean) : -1], table[:, -1:]
        total = counts.sum()
        mean = (means * counts).sum(0) / total
        var = ((variances + (means - mean) ** 2) * counts).sum(0) / total
        running_mean.lerp_(mean.to(running_mean), momentum)
        running_var.lerp_((var * total / (total - 1)).to(running_var), momentum)
        scale = torch.rsqrt(var + eps)
        ctx.save_for_backward(x, weight, mean, scale, total)
        out = (maps - _as_map(mean)) * _as_map(scale * weight) + _as_map(bias)
        return out.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, scale, total = ctx.saved_tensors
        grad = grads[0].to(mean.dtype)
        normalised = (x.to(mean.dtype) - _as_map(mean)) * _as_map(scale)
        of_bias, of_weight = grad.sum((0, 2, 3)), (grad * normalised).sum((0, 2, 3))
        sums = torch.stack([of_bias, of_weight])
        dist.all_reduce(sums)
        centred = grad - _as_map(sums[0] / total) - normalised * _as_map(sums[1] / total)
        of_x = (centred * _as_map(scale * weight)).to(x.dtype)
        return of_x, of_weight.to(weight.dtype), of_bias.to(weight.dtype), None, None, None, None


def _as_map(values: Tensor) -> Tensor:
    """(C,) to (C, 1, 1), which fits (B, C, H, W)."""
    return values[:, None, None]
