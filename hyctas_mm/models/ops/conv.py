"""Plain convolutions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from hyctas_mm.models.layers import Channels, ConvBN
from hyctas_mm.models.ops.base import Op
from hyctas_mm.registry import register_op


@register_op('conv')
class Conv(Op):
    """3x3 convolution, batch norm, ReLU (paper Table 2, "Convolution"). An odd size is rounded up when going down."""

    kernel_size = 3

    def __init__(
        self, in_channels: Channels, out_channels: int, down: bool, norm_cfg: Mapping[str, Any], slim: bool = False
    ) -> None:
        super().__init__(in_channels, out_channels, down, norm_cfg, slim)
        self.conv1 = ConvBN(
            in_channels, out_channels, self.kernel_size, stride=2 if down else 1, norm_cfg=norm_cfg, slim=slim
        )

    def activate(self, in_channels: Channels, out_channels: int, slot: int = 0) -> None:
        self.conv1.activate(in_channels, out_channels, slot)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv1(x)


@register_op('conv_1x1')
class Conv1x1(Conv):
    """1x1 convolution, batch norm, ReLU: what the release calls ``skip``; in other published nets, not in the paper's
    space.

    NOTE(release): there it never goes down, whatever the architecture says (a strided ``skip`` is a bug that breaks the
    network).
    """

    kernel_size = 1


@register_op('conv_2x')
class Conv2x(Conv):
    """Two 3x3 convolutions in a row; in other published nets, not in the paper's space."""

    def __init__(
        self, in_channels: Channels, out_channels: int, down: bool, norm_cfg: Mapping[str, Any], slim: bool = False
    ) -> None:
        super().__init__(in_channels, out_channels, down, norm_cfg, slim)
        self.conv2 = ConvBN(out_channels, out_channels, 3, norm_cfg=norm_cfg, slim=slim)

    def activate(self, in_channels: Channels, out_channels: int, slot: int = 0) -> None:
        super().activate(in_channels, out_channels, slot)
        self.conv2.activate(out_channels, out_channels, slot)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(x))
