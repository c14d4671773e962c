"""The paper's light-weight convolution (section 3.3, Figure 2): a zoomed convolution beside a 1x1 convolution that
keeps the detail.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from hyctas_mm.models.layers import Channels, ConvBN, half_size, resize
from hyctas_mm.models.ops.base import Op
from hyctas_mm.registry import register_op


@register_op('lite_conv')
class LiteConv(Op):
    """3x3 convolution at half the resolution, added to a 1x1 convolution at full resolution.

    Going down, the result stays at half the resolution and there is no 1x1 path. An odd size is rounded down, to at
    least 1.

    Args:
        align_corners: Of the bilinear resizing; set by heads only (NOTE(release): cells always use False).
    """

    num_convs = 1
    detail = True

    def __init__(
        self,
        in_channels: Channels,
        out_channels: int,
        down: bool,
        norm_cfg: Mapping[str, Any],
        slim: bool = False,
        align_corners: bool = False,
    ) -> None:
        super().__init__(in_channels, out_channels, down, norm_cfg, slim)
        inputs = [in_channels] + [out_channels] * (self.num_convs - 1)
        self.zoomed = nn.Sequential(
            *(
                ConvBN(c, out_channels, 3, act=n < self.num_convs - 1, norm_cfg=norm_cfg, slim=slim)
                for n, c in enumerate(inputs)
            )
        )
        self.bypass = (
            None
            if down or not self.detail
            else ConvBN(in_channels, out_channels, 1, act=False, norm_cfg=norm_cfg, slim=slim)
        )
        self.down, self.align_corners = down, align_corners

    @property
    def droppable(self) -> bool:
        return self.bypass is not None

    def activate(self, in_channels: Channels, out_channels: int, slot: int = 0) -> None:
        for index, conv in enumerate(self.zoomed):
            conv.activate(out_channels if index else in_channels, out_channels, slot)
        if self.bypass is not None:
            self.bypass.activate(in_channels, out_channels, slot)

    def forward(self, x: Tensor) -> Tensor:
        y = self.zoomed(resize(x, half_size(x), self.align_corners))
        if not self.down:
            y = resize(y, x.shape[2:], self.align_corners)
        if self.bypass is not None:
            y = self.drop_path(y) + self.bypass(x)
        return F.relu(y, inplace=True)


@register_op('lite_conv_2x')
class LiteConv2x(LiteConv):
    """The same with two 3x3 convolutions in a row at half the resolution."""

    num_convs = 2


@register_op('zoom_conv')
class ZoomConv(LiteConv):
    """The zoomed convolution by itself, without the 1x1 path: FasterSeg's (ICLR 2020), in its published networks."""

    detail = False


@register_op('zoom_conv_2x')
class ZoomConv2x(ZoomConv):
    """The same with two 3x3 convolutions in a row."""

    num_convs = 2
