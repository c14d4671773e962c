"""A candidate op of one's own: a 1x1 convolution, then a 5x5 one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from hyctas_mm.models.layers import Channels, ConvBN
from hyctas_mm.models.ops import Op
from hyctas_mm.registry import register_op


@register_op('my_conv_5x5')
class MyConv5x5(Op):
    """Maps ``in_channels`` to ``out_channels``, at half the resolution if ``down``."""

    def __init__(
        self, in_channels: Channels, out_channels: int, down: bool, norm_cfg: Mapping[str, Any], slim: bool = False
    ) -> None:
        super().__init__(in_channels, out_channels, down, norm_cfg, slim)
        self.mix = ConvBN(in_channels, out_channels, 1, norm_cfg=norm_cfg, slim=slim)
        self.look = ConvBN(out_channels, out_channels, 5, stride=2 if down else 1, norm_cfg=norm_cfg, slim=slim)

    def activate(self, in_channels: Channels, out_channels: int, slot: int = 0) -> None:
        """Tells each slimmable layer which of its channels are in use."""
        self.mix.activate(in_channels, out_channels, slot)
        self.look.activate(out_channels, out_channels, slot)

    def forward(self, x: Tensor) -> Tensor:
        return self.look(self.mix(x))  # (B, C, H, W) -> (B, C', H, W), or (B, C', H/2, W/2) going down
