"""HRViT's mixed-scale convolutional feed-forward network (https://arxiv.org/abs/2111.01236, section 3.2) as a candidate
op.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hyctas_mm.models.layers import Channels, ConvBN, SlimConv2d, batch_norm, total
from hyctas_mm.models.ops.base import Op
from hyctas_mm.registry import register_op


class MixedScales(nn.Module):
    """1x1 convolution to ``ratio`` times the channels, 3x3 convolutions of each channel of the one half and 5x5 of the
    other, GELU, 1x1 convolution back. With C channels ``2 ratio C^2 + 19 ratio C + C`` parameters.
    """

    def __init__(self, channels: int, ratio: int, slim: bool = False) -> None:
        super().__init__()
        conv = SlimConv2d if slim else nn.Conv2d
        self.half = ratio // 2
        size = self.half * channels
        self.expand3, self.expand5 = conv(channels, size, 1), conv(channels, size, 1)
        self.spread3 = conv(size, size, 3, padding=1, groups=size)
        self.spread5 = conv(size, size, 5, padding=2, groups=size)
        self.project = conv(2 * size, channels, 1)

    def activate(self, channels: int) -> None:
        """Chooses the channels of a slimmable network."""
        size, full = self.half * channels, self.spread3.in_channels
        for expand, spread in ((self.expand3, self.spread3), (self.expand5, self.spread5)):
            expand.activate(channels, size)
            spread.activate(size, size)
        self.project.activate([(size, full), (size, full)], channels)

    def forward(self, x: Tensor) -> Tensor:
        maps = (self.spread3(self.expand3(x)), self.spread5(self.expand5(x)))
        return self.project(F.gelu(torch.cat(maps, dim=1)))


@register_op('mixcfn')
class MixCFN(Op):
    """``x + network(norm(x))``, where ``x`` is the input, brought to the output's width by a 1x1 convolution where it
    has another, and to its stride by a 3x3 convolution. Not in the paper's space.

    HRViT normalises each position over its channels; here it is batch norm, as everywhere in a supernet. An odd size is
    rounded up when going down.
    """

    ratio = 4

    def __init__(
        self, in_channels: Channels, out_channels: int, down: bool, norm_cfg: Mapping[str, Any], slim: bool = False
    ) -> None:
        super().__init__(in_channels, out_channels, down, norm_cfg, slim)
        self.down = down
        self.entered = down or total(in_channels) != out_channels
        self.enter: ConvBN | None = None
        if self.entered or slim:
            kernel, stride = (3, 2) if down else (1, 1)
            self.enter = ConvBN(in_channels, out_channels, kernel, stride, norm_cfg=norm_cfg, slim=slim)
        self.norm = batch_norm(out_channels, norm_cfg, slim)
        self.network = MixedScales(out_channels, self.ratio, slim)

    @property
    def droppable(self) -> bool:
        return True

    def activate(self, in_channels: Channels, out_channels: int, slot: int = 0) -> None:
        self.entered = self.down or total(in_channels) != out_channels
        if self.enter is not None and self.entered:
            self.enter.activate(in_channels, out_channels, slot)
        self.norm.activate(out_channels, slot)
        self.network.activate(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        if self.enter is not None and self.entered:
            x = self.enter(x)
        return x + self.drop_path(self.network(self.norm(x)))
