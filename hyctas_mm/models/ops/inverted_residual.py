"""Depthwise separable convolutions between an expansion and a projection (MobileNetV2, https://arxiv.org/abs/1801.04381)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from hyctas_mm.models.layers import Channels, ConvBN, total
from hyctas_mm.models.ops.base import Op
from hyctas_mm.registry import register_op


@register_op('inverted_residual')
class InvertedResidual(Op):
    """1x1 convolution to four times the input's channels, 3x3 convolution of each channel by itself, 1x1 convolution
    without activation; added to the input where that has the same size and width.

    Not in the paper's space. An odd size is rounded up when going down.
    """

    expansion = 4

    def __init__(
        self, in_channels: Channels, out_channels: int, down: bool, norm_cfg: Mapping[str, Any], slim: bool = False
    ) -> None:
        super().__init__(in_channels, out_channels, down, norm_cfg, slim)
        hidden = self.expansion * total(in_channels)
        options: dict[str, Any] = dict(norm_cfg=norm_cfg, slim=slim)
        self.expand = ConvBN(in_channels, hidden, 1, **options)
        self.spread = ConvBN(hidden, hidden, 3, stride=2 if down else 1, depthwise=True, **options)
        self.project = ConvBN(hidden, out_channels, 1, act=False, **options)
        self.down = down
        self.bypassed = not down and total(in_channels) == out_channels

    @property
    def droppable(self) -> bool:
        return self.bypassed

    def activate(self, in_channels: Channels, out_channels: int, slot: int = 0) -> None:
        hidden = self.expansion * total(in_channels)
        self.expand.activate(in_channels, hidden, slot)
        self.spread.activate(hidden, hidden, slot)
        self.project.activate(hidden, out_channels, slot)
        self.bypassed = not self.down and total(in_channels) == out_channels

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.spread(self.expand(x)))
        return x + self.drop_path(y) if self.bypassed else y


@register_op('inverted_residual_6x')
class InvertedResidual6x(InvertedResidual):
    """The same with six times the input's channels."""

    expansion = 6
