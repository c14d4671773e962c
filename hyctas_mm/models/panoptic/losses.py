"""Losses of the centre heatmap and of the offsets."""

from __future__ import annotations

from torch import Tensor

from hyctas_mm.errors import BadValue


def center_loss(prediction: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean squared error of the centre heatmaps.

    NOTE(release): its targets lack the channel dimension and broadcast, so that every image is trained towards the
    centres of the whole batch; here all three are (B, 1, H, W).

    Args:
        prediction: (B, 1, H, W).
        target: (B, 1, H, W).
        weight: (B, 1, H, W), 0 where the image is not labelled.
    """
    return _weighted_mean((prediction.float() - target).square(), weight)


def offset_loss(prediction: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean absolute error of the offsets in pixels, over both directions.

    Args:
        prediction: (B, 2, H, W), the offset down and to the right.
        target: (B, 2, H, W).
        weight: (B, 1, H, W), 1 on things.
    """
    return _weighted_mean((prediction.float() - target).abs(), weight.expand_as(target))


def _weighted_mean(errors: Tensor, weight: Tensor) -> Tensor:
    if errors.shape != weight.shape:
        raise BadValue(f'errors of shape {tuple(errors.shape)} and weights of shape {tuple(weight.shape)} differ')
    # An image without things has weights that are all zero: a loss of 0 that still has a gradient.
    return (errors * weight).sum() / weight.sum().clamp(min=1e-6)
