"""From the fused map to logits: attention, low-level fusion, decoder, predictor (the release's semantic heads)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hyctas_mm.models.layers import Channels, ConvBN, SlimConv2d, batch_norm, half_size, resize
from hyctas_mm.models.ops import LiteConv2x, SelfAttention
from hyctas_mm.registry import MODELS


@MODELS.register_module()
class HyCTASHeadAttention(nn.Module):
    """The head's attention: the attention op with identity bypass, the attention itself at half the resolution.

    NOTE(release): the result is resized to the input's size, not to twice the half, so odd sizes work.
    """

    cost_unit = True

    def __init__(self, channels: int, norm_cfg: Mapping[str, Any], slim: bool = False, align_corners: bool = False) -> None:
        super().__init__()
        self.reduce = ConvBN(channels, channels, 1, norm_cfg=norm_cfg, slim=slim)
        self.attend = SelfAttention(channels, slim)
        self.norm = batch_norm(channels, norm_cfg, slim)
        self.expand = ConvBN(channels, channels, 1, act=False, norm_cfg=norm_cfg, slim=slim)
        self.align_corners = align_corners

    def activate(self, channels: int) -> None:
        """Chooses the channels of a slimmable block."""
        self.reduce.activate(channels, channels)
        self.attend.activate(channels)
        self.norm.activate(channels)
        self.expand.activate(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.reduce(x)
        y = self.attend(resize(y, half_size(y), self.align_corners))
        y = resize(F.relu(self.norm(y), inplace=True), x.shape[2:], self.align_corners)
        return F.relu(self.expand(y) + x, inplace=True)


class Trunk(nn.Module):
    """Attention, low-level fusion, decoder and predictor.

    Args:
        in_channels: Channels of the fused map, at full width if ``slim``.
        stem: Channels of the stem's maps at strides 4 and 8.
        num_classes: Channels of the logits.
        low_level: ``'none'`` (logits at the fused map's stride), ``'s4'`` or ``'s4s8'`` (logits at stride 4).
        attention: Whether the trunk has the attention.
        norm_cfg: mmcv's norm config.
        dropout_ratio: Dropout before the predictor.
        slim: Whether the layers are slimmable.
        align_corners: Of all resizing.
    """

    def __init__(
        self,
        in_channels: int,
        stem: tuple[int, int],
        num_classes: int,
        low_level: str,
        attention: bool,
        norm_cfg: Mapping[str, Any],
        dropout_ratio: float = 0.0,
        slim: bool = False,
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        options: dict[str, Any] = dict(norm_cfg=norm_cfg, slim=slim)
        corners: dict[str, Any] = dict(align_corners=align_corners)
        self.full, self.low_level, self.align_corners = in_channels, low_level, align_corners
        self.attention = HyCTASHeadAttention(in_channels, **options, **corners) if attention else None
        self.use_attention = attention
        inputs: Channels = in_channels
        self.project4 = self.project8 = self.decode8 = None
        if low_level == 's4s8':
            self.project8 = ConvBN(stem[1], 64, 1, act=False, **options)
            self.decode8 = LiteConv2x([(in_channels, in_channels), (64, 64)], in_channels, False, **options, **corners)
        if low_level != 'none':
            size = self._projection()
            self.project4 = ConvBN(stem[0], size, 1, act=False, **options)
            inputs = [(in_channels, in_channels), (size, size)]
        # a narrower input may have the wider decoder, so a slimmable one holds the widest
        middle = max(min(in_channels, 256), self.middle(in_channels)) if slim else self.middle(in_channels)
        self.decode = LiteConv2x(inputs, middle, False, **options, **corners)
        self.refine = ConvBN(middle, middle, 3, **options)
        self.dropout = nn.Dropout2d(dropout_ratio)
        self.conv_seg = (SlimConv2d if slim else nn.Conv2d)(middle, num_classes, 1)
        self.num_classes = num_classes

    def _projection(self) -> int:
        return 48 if self.low_level == 's4' else 32

    @staticmethod
    def middle(in_channels: int) -> int:
        """Channels of the decoder: the input's, halved above 256."""
        return in_channels if in_channels <= 256 else in_channels // 2

    def activate(self, in_channels: int, stem: tuple[int, int], attention: bool) -> None:
        """Chooses the channels of a slimmable trunk and whether it uses its attention."""
        self.use_attention = attention
        if self.attention is not None and attention:
            self.attention.activate(in_channels)
        pair = (in_channels, self.full)
        if self.project8 is not None and self.decode8 is not None:
            self.project8.activate(stem[1], 64)
            self.decode8.activate([pair, (64, 64)], in_channels)
        if self.project4 is not None:
            self.project4.activate(stem[0], self._projection())
        inputs: Channels = in_channels if self.project4 is None else [pair, (self._projection(),) * 2]
        middle = self.middle(in_channels)
        self.decode.activate(inputs, middle)
        self.refine.activate(middle, middle)
        self.conv_seg.activate(middle, self.num_classes)

    def forward(self, x: Tensor, stem4: Tensor, stem8: Tensor) -> Tensor:
        """Returns logits, (B, classes, H/8, W/8), or at stride 4 with low-level fusion."""
        if self.attention is not None and self.use_attention:
            x = self.attention(x)
        if self.project8 is not None and self.decode8 is not None:
            x = self.decode8(torch.cat([x, resize(self.project8(stem8), x.shape[2:], self.align_corners)], dim=1))
        if self.project4 is not None:
            low = self.project4(stem4)
            x = torch.cat([resize(x, low.shape[2:], self.align_corners), low], dim=1)
        return self.conv_seg(self.dropout(self.refine(self.decode(x))))
