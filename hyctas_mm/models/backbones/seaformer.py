"""SeaFormer, a mobile network of inverted residuals and, at the coarsest strides, attention along squeezed axes
(https://arxiv.org/abs/2301.13156), written from its description; the authors' weights are not converted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmcv.cnn.bricks import DropPath
from mmengine.model import BaseModule
from torch import Tensor, nn

from hyctas_mm.errors import BadValue
from hyctas_mm.models.layers import ConvBN
from hyctas_mm.registry import MODELS

KERNELS = (3, 5, 3, 5, 3)
"""Of the depthwise convolutions of the stages at strides 4, 8, 16, 32 and 64."""
POSITIONS = 16
"""Entries of a table of positions; it is stretched to the rows or columns of a map."""


@dataclass(frozen=True)
class Variant:
    """What the four published sizes differ in.

    Attributes:
        channels: At strides 2, 4, 8, 16, 32 and 64.
        expansions: Widening of each inverted residual, by stride; all but the first stride's begin by going down.
        blocks: Blocks with attention at the end of each of the last stages.
        heads: Of an attention.
        key_channels: Of a query or key of one head, in each of these stages; a value has twice as many.
        ratios: Widening of the feed-forward networks, in each of these stages.
    """

    channels: tuple[int, ...]
    expansions: tuple[tuple[int, ...], ...]
    blocks: tuple[int, ...]
    heads: int
    key_channels: tuple[int, ...] = (16, 24)
    ratios: tuple[int, ...] = (2, 4)


_EXPANSIONS = ((1,), (4, 3), (3, 3), (3, 3), (4,), (6,))
VARIANTS = dict(
    t=Variant((16, 16, 32, 64, 128, 160), ((1,), (4, 3), (3, 3), (3, 3), (3,), (6,)), (2, 2), 4),
    s=Variant((16, 24, 48, 96, 160, 192), _EXPANSIONS, (3, 3), 6),
    b=Variant((16, 32, 64, 128, 192, 256), _EXPANSIONS, (4, 4), 8),
    l=Variant(
        *((32, 64, 128, 192, 256, 320), ((3,), (4, 4), (4, 4), (4, 4), (4,), (6,)), (3, 3, 3), 8),
        key_channels=(16, 20, 24),
        ratios=(2, 4, 6),
    ),
)


class InvertedResidual(nn.Module):
    """1x1 convolution to ``expansion`` times the channels (none for 1), a convolution of each channel by itself, 1x1
    convolution without activation; added to the input where that has the same size and width.
    """

    def __init__(
        self, in_channels: int, channels: int, kernel: int, stride: int, expansion: int, norm_cfg: Mapping[str, Any]
    ) -> None:
        super().__init__()
        hidden = expansion * in_channels
        expand = [ConvBN(in_channels, hidden, 1, norm_cfg=norm_cfg)] if expansion > 1 else []
        self.convs = nn.Sequential(
            *expand,
            ConvBN(hidden, hidden, kernel, stride, depthwise=True, norm_cfg=norm_cfg),
            ConvBN(hidden, channels, 1, act=False, norm_cfg=norm_cfg),
        )
        self.bypassed = stride == 1 and in_channels == channels

    def forward(self, x: Tensor) -> Tensor:
        y = self.convs(x)
        return x + y if self.bypassed else y


class AxisAttention(nn.Module):
    """Attention between the rows, or columns, of a map that was averaged over the other axis."""

    def __init__(self, heads: int, key_channels: int, norm_cfg: Mapping[str, Any]) -> None:
        super().__init__()
        self.heads = heads
        inner = heads * key_channels
        self.query_position = nn.Parameter(torch.randn(1, inner, POSITIONS))
        self.key_position = nn.Parameter(torch.randn(1, inner, POSITIONS))
        self.project = ConvBN(2 * inner, 2 * inner, 1, act=False, norm_cfg=norm_cfg)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Queries and keys (B, heads * key channels, N) and values of twice the channels to (B, C, N, 1) of these."""
        length = query.shape[2]
        query = query + F.interpolate(self.query_position, size=length, mode='linear')
        key = key + F.interpolate(self.key_position, size=length, mode='linear')
        # (B, heads * c, N) -> (B, heads, N, c)
        split = (x.unflatten(1, (self.heads, -1)).transpose(2, 3) for x in (query, key, value))
        out = F.scaled_dot_product_attention(*split)
        return self.project(F.relu6(out.transpose(2, 3).flatten(1, 2).unsqueeze(3)))


class SqueezedAttention(nn.Module):
    """Attention along rows and columns, each squeezed to one vector, as a gate of local details (section 3.2)."""

    def __init__(self, channels: int, heads: int, key_channels: int, norm_cfg: Mapping[str, Any]) -> None:
        super().__init__()
        inner = heads * key_channels
        self.query = ConvBN(channels, inner, 1, act=False, norm_cfg=norm_cfg)
        self.key = ConvBN(channels, inner, 1, act=False, norm_cfg=norm_cfg)
        self.value = ConvBN(channels, 2 * inner, 1, act=False, norm_cfg=norm_cfg)
        self.rows = AxisAttention(heads, key_channels, norm_cfg)
        self.columns = AxisAttention(heads, key_channels, norm_cfg)
        self.project = ConvBN(2 * inner, channels, 1, act=False, norm_cfg=norm_cfg)
        self.detail = nn.Sequential(
            ConvBN(4 * inner, 4 * inner, 3, act=False, depthwise=True, norm_cfg=norm_cfg),
            nn.ReLU6(),
            ConvBN(4 * inner, channels, 1, act=False, norm_cfg=norm_cfg),
        )

    def forward(self, x: Tensor) -> Tensor:
        maps = query, key, value = self.query(x), self.key(x), self.value(x)
        rows = self.rows(query.mean(3), key.mean(3), value.mean(3))  # (B, C, H, 1)
        columns = self.columns(query.mean(2), key.mean(2), value.mean(2)).transpose(2, 3)  # (B, C, 1, W)
        gate = self.project(F.relu6(value + rows + columns))
        return F.hardsigmoid(gate) * self.detail(torch.cat(maps, dim=1))


class Block(nn.Module):
    """Squeezed attention, then a feed-forward network with a 3x3 convolution of each channel, both residual."""

    def __init__(
        self,
        channels: int,
        heads: int,
        key_channels: int,
        ratio: int,
        drop_path: float,
        norm_cfg: Mapping[str, Any],
    ) -> None:
        super().__init__()
        hidden = ratio * channels
        self.attention = SqueezedAttention(channels, heads, key_channels, norm_cfg)
        self.feed_forward = nn.Sequential(
            ConvBN(channels, hidden, 1, act=False, norm_cfg=norm_cfg),
            nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden),
            nn.ReLU6(),
            ConvBN(hidden, channels, 1, act=False, norm_cfg=norm_cfg),
        )
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.attention(x))
        return x + self.drop_path(self.feed_forward(x))


@MODELS.register_module()
class SeaFormer(BaseModule):
    """SeaFormer's backbone, for :class:`~hyctas_mm.models.decode_heads.light_head.LightHead` or any head of mmseg and
    mmdet that reads strides 8, 32 and 64.

    Weights start random. Sizes that are no multiples of 64 are rounded up at each stride.

    Args:
        arch: ``'t'``, ``'s'``, ``'b'`` or ``'l'``.
        drop_path_rate: Of the last block of each stage; it grows from 0 at the stage's first.
        norm_cfg: Batch norms, e.g. ``dict(type='SyncBN')`` on several GPUs.
        init_cfg: mmengine's initialisation, e.g. of a checkpoint of one's own.

    Attributes:
        out_channels: Channels of the maps.
        out_strides: 8, 32 and 64; of ``'l'`` 8, 16, 32 and 64.

    Raises:
        ValueError: For another arch.

    Example:
        >>> [tuple(x.shape) for x in SeaFormer('t').eval()(torch.rand(1, 3, 128, 192))]
        [(1, 32, 16, 24), (1, 128, 4, 6), (1, 160, 2, 3)]
    """

    def __init__(
        self,
        arch: str = 's',
        drop_path_rate: float = 0.1,
        norm_cfg: Mapping[str, Any] = dict(type='BN'),
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        if arch not in VARIANTS:
            raise BadValue(f'SeaFormer: arch={arch!r}; expected one of {", ".join(VARIANTS)}')
        variant = VARIANTS[arch]
        (before, *channels), (first, *expansions) = variant.channels, variant.expansions
        self.stem = nn.Sequential(
            ConvBN(3, before, 3, 2, norm_cfg=norm_cfg),
            *(InvertedResidual(before, before, 3, 1, expansion, norm_cfg) for expansion in first),
        )
        self.stages, self.blocks = nn.ModuleList(), nn.ModuleList()
        for width, kernel, ratios in zip(channels, KERNELS, expansions, strict=True):
            widths = [before] + [width] * len(ratios)
            self.stages.append(
                nn.Sequential(
                    *(
                        InvertedResidual(widths[i], width, kernel, 1 if i else 2, ratio, norm_cfg)
                        for i, ratio in enumerate(ratios)
                    )
                )
            )
            before = width
        attended = channels[-len(variant.blocks) :]
        for width, count, keys, ratio in zip(
            attended, variant.blocks, variant.key_channels, variant.ratios, strict=True
        ):
            rates = np.linspace(0, drop_path_rate, count).tolist()
            self.blocks.append(
                nn.Sequential(*(Block(width, variant.heads, keys, ratio, rate, norm_cfg) for rate in rates))
            )
        self.out_channels = (channels[1], *attended)
        self.out_strides = (8, *(8, 16, 32, 64)[-len(attended) :])
        self._start()

    def _start(self) -> None:
        """Convolutions start as the authors': normal, by the number of weights that read an input."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                readers = math.prod(module.kernel_size) * module.out_channels // module.groups
                nn.init.normal_(module.weight, std=math.sqrt(2 / readers))
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) to the maps at the strides of ``out_strides``."""
        maps = []
        x = self.stem(x)
        plain = len(self.stages) - len(self.blocks)
        for place, stage in enumerate(self.stages):
            x = stage(x)
            if place >= plain:
                x = self.blocks[place - plain](x)
            if place == 1 or place >= plain:  # at stride 8, for details
                maps.append(x)
        return tuple(maps)
