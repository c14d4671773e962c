"""Cross entropy of logits that are smaller than their labels, with the upsampling inside."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hyctas_mm.registry import MODELS


@MODELS.register_module()
class UpsampledCELoss(nn.Module):
    """mmseg's ``CrossEntropyLoss`` after bilinear upsampling, in a third of the time on a CPU.

    Mean over all pixels; ignored ones count as zeros, as in mmseg's default. Loss and gradient are computed together,
    image by image, while the image's full-size logits are in the cache. Nothing of full size is kept, so
    :class:`~hyctas_mm.models.decode_heads.HyCTASHead` tells no accuracy of the training images with it. Of other heads
    only the panoptic ones know it.

    Args:
        loss_weight: Factor of the loss.
        loss_name: Name under which mmseg logs it; it must contain ``loss`` to be optimised.

    Example:
        >>> decode_head = dict(type='HyCTASHead', loss_decode=dict(type='UpsampledCELoss'))
    """

    def __init__(self, loss_weight: float = 1.0, loss_name: str = 'loss_ce') -> None:
        super().__init__()
        self.loss_weight, self.loss_name = loss_weight, loss_name

    def forward(
        self,
        logits: Tensor,
        labels: Tensor,
        align_corners: bool = False,
        ignore_index: int = 255,
        weight: Tensor | None = None,
    ) -> Tensor:
        """Computes the loss.

        Args:
            logits: (B, classes, h, w), any floating type.
            labels: Classes, (B, H, W).
            align_corners: Of the upsampling.
            ignore_index: Label whose pixels cost nothing.
            weight: Factor of each pixel's cross entropy, (B, H, W).
        """
        known = (labels != ignore_index).float()
        factors = known if weight is None else known * weight
        loss = _UpsampledCE.apply(logits.float(), labels, factors, align_corners, weight is not None)
        return self.loss_weight * loss / labels.numel()


class _UpsampledCE(torch.autograd.Function):
    """The sum of the losses.

    Upsampling is done side by side: across by a matrix product, and down over rows that hold all classes, as a map of
    one column and many channels that lies channels-last, which PyTorch does fastest. Products are given their results'
    place, and so stay float32 where autocast is on.
    """

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, labels: Tensor, factors: Tensor, align_corners: bool, weighted: bool
    ) -> Tensor:
        batch, classes, small_height, small_width = logits.shape
        _, height, width = labels.shape
        small, large = [1, classes * width, small_height, 1], [height, 1]
        unit = torch.eye(small_width, device=logits.device).reshape(1, small_width, 1, small_width)
        across = F.interpolate(unit, size=(1, width), mode='bilinear', align_corners=align_corners)[0, :, 0]  # (w, W)
        index = torch.arange(classes, dtype=logits.dtype, device=logits.device)[:, None]  # (C, 1)
        rows = logits.permute(0, 2, 1, 3).reshape(batch, small_height * classes, small_width)
        of_labels, loss = logits.new_empty(height, classes, width), logits.new_zeros(())
        wide, grad = logits.new_empty(small_height * classes, width), torch.empty_like(rows)
        labels = labels.where(factors > 0, -1)[:, :, None].to(logits.dtype)  # (B, H, 1, W)
        for row, label, factor, out in zip(rows, labels, factors[:, :, None], grad, strict=True):  # one image each
            torch.mm(row, across, out=wide)
            full = wide.view(1, small_height, 1, -1).permute(0, 3, 1, 2)  # (1, C*W, h, 1)
            full = torch.ops.aten.upsample_bilinear2d(full, large, align_corners)
            full = full.permute(0, 2, 3, 1).view(height, classes, width)
            torch.eq(label, index, out=of_labels)
            if weighted:
                of_labels *= factor
            loss -= torch.dot(full.flatten(), of_labels.flatten())
            top = full.amax(1, keepdim=True)
            exp = full.sub_(top).exp_()
            norm = exp.sum(1, keepdim=True)
            loss += torch.dot((norm.log() + top).flatten(), factor.flatten())
            exp.mul_(factor / norm).sub_(of_labels)  # the gradient at full size
            exp = exp.view(1, height, 1, -1).permute(0, 3, 1, 2)
            less = torch.ops.aten.upsample_bilinear2d_backward(exp, large, small, align_corners)
            torch.mm(less.permute(0, 2, 3, 1).reshape(-1, width), across.t(), out=out)
        ctx.save_for_backward(grad.view(batch, small_height, classes, small_width).permute(0, 2, 1, 3))
        return loss

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = ctx.saved_tensors
        return grad * grads[0], None, None, None, None
