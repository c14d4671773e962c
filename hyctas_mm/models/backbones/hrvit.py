"""HRViT, a hand-made network of four branches with convolutions and attention in stripes
(https://arxiv.org/abs/2111.01236), written from its description; its own weights were never published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmcv.cnn.bricks import DropPath
from mmengine.model import BaseModule
from torch import Tensor, nn

from hyctas_mm.errors import BadValue
from hyctas_mm.models.layers import batch_norm
from hyctas_mm.models.ops.hrvit import MixedScales, StripedAttention
from hyctas_mm.registry import MODELS

STEM_CHANNELS = 64
STRIPES = (1, 2, 7, 7)
"""Rows, or columns, that attend to each other, at strides 4, 8, 16 and 32."""


@dataclass(frozen=True)
class Variant:
    """What the three published sizes differ in.

    Attributes:
        channels: Of the branches at strides 4, 8, 16 and 32.
        blocks: Blocks of each branch, for each of the six modules.
        ratios: Widening of the feed-forward networks of each branch.
        head_channels: Channels of an attention head.
    """

    channels: tuple[int, ...]
    blocks: tuple[tuple[int, ...], ...]
    ratios: tuple[int, ...]
    head_channels: int


VARIANTS = dict(
    b1=Variant((32, 64, 128, 256), ((1,), (1, 1), (1, 1, 6), (1, 1, 6), (1, 1, 6, 2), (1, 1, 2, 2)), (4, 4, 4, 4), 32),
    b2=Variant((48, 96, 240, 384), ((1,), (1, 1), (1, 1, 6), (1, 1, 6), (1, 1, 6, 2), (1, 1, 6, 2)), (2, 3, 3, 3), 24),
    b3=Variant((64, 128, 256, 512), ((1,), (1, 1), (1, 1, 6), (1, 1, 6), (1, 1, 6, 3), (1, 1, 6, 3)), (2, 2, 2, 2), 32),
)


class PositionNorm(nn.LayerNorm):
    """Layer norm over the channels of each position of (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class KroneckerShortcut(nn.Module):
    """The shortcut that keeps features diverse: a projection of each position's channels by the Kronecker product of
    two small matrices, with GELU between (section 3.1).

    ``p^2 + p + k^2 + k`` parameters for ``C = k p`` channels, where p is about the square root.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        power = channels.bit_length() - 1
        self.inner = nn.Linear(*[2 ** (power - power // 2)] * 2)
        self.outer = nn.Linear(*[channels // self.inner.in_features] * 2)

    def forward(self, x: Tensor) -> Tensor:
        # (B, C, H, W) -> (B, H, W, k, p) -> (B, H, W, p, k) -> (B, H, W, C) -> (B, C, H, W)
        x = x.permute(0, 2, 3, 1).unflatten(3, (self.outer.in_features, self.inner.in_features))
        x = self.outer(F.gelu(self.inner(x)).transpose(3, 4))
        return x.transpose(3, 4).flatten(3).permute(0, 3, 1, 2)


class Block(nn.Module):
    """Attention in stripes beside the shortcut, then the feed-forward network of two kernel sizes."""

    def __init__(
        self, channels: int, stripe: int, ratio: int, head_channels: int, drop_path: float, norm_cfg: Mapping[str, Any]
    ) -> None:
        super().__init__()
        self.norm1, self.norm2 = PositionNorm(channels), PositionNorm(channels)
        self.attention = StripedAttention(channels, stripe, norm_cfg, head_channels=head_channels)
        self.shortcut = KroneckerShortcut(channels)
        self.feed_forward = MixedScales(channels, ratio)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.attention(self.norm1(x)) + self.shortcut(x))
        return x + self.drop_path(self.feed_forward(self.norm2(x)))


class Branch(nn.Module):
    """One resolution of one module: its entry, its blocks, a norm."""

    def __init__(self, in_channels: int, channels: int, blocks: Sequence[Block]) -> None:
        super().__init__()
        self.enter = nn.Sequential(
            nn.Conv2d(in_channels, channels, 1),
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels),
            PositionNorm(channels),
        )
        self.blocks = nn.Sequential(*blocks)
        self.norm = PositionNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.blocks(self.enter(x)))


class Fusion(nn.Module):
    """Adds the maps of all branches to those of each, and begins a branch where one more is asked for.

    To a coarser stride by a depthwise convolution of that stride and a 1x1 convolution, to a finer one by a 1x1
    convolution and repetition of the nearest; then GELU.
    """

    def __init__(self, channels: Sequence[int], targets: Sequence[int], norm_cfg: Mapping[str, Any]) -> None:
        super().__init__()
        self.paths = nn.ModuleList(
            nn.ModuleList(self._path(source, target, j - i, norm_cfg) for i, source in enumerate(channels))
            for j, target in enumerate(targets)
        )

    @staticmethod
    def _path(source: int, target: int, downs: int, norm_cfg: Mapping[str, Any]) -> nn.Module:
        if downs == 0:
            return nn.Identity()
        mix = [nn.Conv2d(source, target, 1), batch_norm(target, norm_cfg)]
        if downs < 0:
            return nn.Sequential(*mix)
        stride = 2**downs
        down = nn.Conv2d(source, source, stride + 1, stride, padding=stride // 2, groups=source, bias=False)
        return nn.Sequential(down, batch_norm(source, norm_cfg), *mix)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        fused = []
        for target, paths in enumerate(self.paths):
            # to the finest first: its size is the one that the others are brought to
            added = [path(x) for path, x in zip(paths, maps, strict=True)]
            size = added[min(target, len(maps) - 1)].shape[2:]
            resized = [x if i <= target else F.interpolate(x, size=size) for i, x in enumerate(added)]
            fused.append(F.gelu(torch.stack(resized).sum(0) if len(resized) > 1 else resized[0]))
        return fused


@MODELS.register_module()
class HRViT(BaseModule):
    """HRViT's backbone, for any head of mmseg and mmdet.

    Weights start random: the authors published none. Sizes that are no multiples of 32 are rounded up at each stride.

    Args:
        arch: ``'b1'``, ``'b2'`` or ``'b3'``.
        drop_path_rate: Of the last block; it grows from 0 at the first.
        norm_cfg: Batch norms, e.g. ``dict(type='SyncBN')`` on several GPUs.
        init_cfg: mmengine's initialisation, e.g. of a checkpoint of one's own.

    Attributes:
        out_channels: Channels of the four maps, at strides 4, 8, 16 and 32.

    Raises:
        ValueError: For another arch.

    Example:
        >>> [tuple(x.shape) for x in HRViT('b1').eval()(torch.rand(1, 3, 64, 96))]
        [(1, 32, 16, 24), (1, 64, 8, 12), (1, 128, 4, 6), (1, 256, 2, 3)]
    """

    out_strides = (4, 8, 16, 32)

    def __init__(
        self,
        arch: str = 'b1',
        drop_path_rate: float = 0.1,
        norm_cfg: Mapping[str, Any] = dict(type='BN'),
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        if arch not in VARIANTS:
            raise BadValue(f'HRViT: arch={arch!r}; expected one of {", ".join(VARIANTS)}')
        variant = VARIANTS[arch]
        self.out_channels = variant.channels
        half = STEM_CHANNELS // 2
        self.stem = nn.Sequential(
            *(nn.Conv2d(3, half, 3, 2, padding=1), batch_norm(half, norm_cfg), nn.ReLU()),
            *(nn.Conv2d(half, STEM_CHANNELS, 3, 2, padding=1), batch_norm(STEM_CHANNELS, norm_cfg), nn.ReLU()),
        )
        self.fusions, self.stages = nn.ModuleList(), nn.ModuleList()
        rates = np.linspace(0, drop_path_rate, sum(max(counts) for counts in variant.blocks)).tolist()
        before: tuple[int, ...] = (STEM_CHANNELS,)
        for counts in variant.blocks:
            entered = before + variant.channels[len(before) : len(counts)]
            self.fusions.append(Fusion(before, entered, norm_cfg))
            before = variant.channels[: len(counts)]
            self.stages.append(
                nn.ModuleList(
                    Branch(
                        *(entered[i], before[i]),
                        [
                            Block(before[i], STRIPES[i], variant.ratios[i], variant.head_channels, rate, norm_cfg)
                            for rate in rates[:count]
                        ],
                    )
                    for i, count in enumerate(counts)
                )
            )
            rates = rates[max(counts) :]
        self._start()

    def _start(self) -> None:
        """Projections start as small as in a transformer; norms start as they are."""
        for module in self.modules():
            if isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1)):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) to the maps at strides 4, 8, 16 and 32."""
        maps = [self.stem(x)]
        for fusion, stage in zip(self.fusions, self.stages, strict=True):
            maps = [branch(x) for branch, x in zip(stage, fusion(maps), strict=True)]
        return tuple(maps)
