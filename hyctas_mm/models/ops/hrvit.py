"""The two halves of HRViT's block (https://arxiv.org/abs/2111.01236, sections 3.1 and 3.2) as candidate ops. They are
not in the paper's space; their cost grows with the positions, so they can work at fine strides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

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
        self.ratio = ratio
        size = ratio * channels // 2
        self.expand3, self.expand5 = conv(channels, size, 1), conv(channels, size, 1)
        self.spread3 = conv(size, size, 3, padding=1, groups=size)
        self.spread5 = conv(size, size, 5, padding=2, groups=size)
        self.project = conv(2 * size, channels, 1)

    def activate(self, channels: int, slot: int = 0) -> None:
        """Chooses the channels of a slimmable network."""
        size, full = self.ratio * channels // 2, self.spread3.in_channels
        for expand, spread in ((self.expand3, self.spread3), (self.expand5, self.spread5)):
            expand.activate(channels, size)
            spread.activate(size, size)
        self.project.activate([(size, full), (size, full)], channels)

    def forward(self, x: Tensor) -> Tensor:
        maps = (self.spread3(self.expand3(x)), self.spread5(self.expand5(x)))
        return self.project(F.gelu(torch.cat(maps, dim=1)))


class StripedAttention(nn.Module):
    """Attention within stripes: the first half of the channels within ``stripe`` rows, the other within as many
    columns. Keys are the values; a 3x3 convolution of each channel of the values goes beside it. Its last batch norm
    starts at 0. With C channels ``3 C^2 + 15 C`` parameters.

    A head has ``head_channels``, or more where the half is no multiple of that.
    """

    def __init__(
        self, channels: int, stripe: int, norm_cfg: Mapping[str, Any], slim: bool = False, head_channels: int = 32
    ) -> None:
        super().__init__()
        self.head_channels = head_channels
        conv = SlimConv2d if slim else nn.Conv2d
        self.query, self.value = conv(channels, channels, 1), conv(channels, channels, 1)
        self.local = conv(channels, channels, 3, padding=1, groups=channels)
        self.project = conv(channels, channels, 1)
        self.norm = batch_norm(channels, norm_cfg, slim)
        nn.init.zeros_(self.norm.weight)
        self.stripe = stripe

    def activate(self, channels: int, slot: int = 0) -> None:
        """Chooses the channels of a slimmable attention and, for the ``slot``-th use, the batch norm statistics."""
        for conv in (self.query, self.value, self.local, self.project):
            conv.activate(channels, channels)
        self.norm.activate(channels, slot)

    def forward(self, x: Tensor) -> Tensor:
        query, value = self.query(x), self.value(x)
        first = (x.shape[1] + 1) // 2
        rows = self._within_rows(query[:, :first], value[:, :first])
        attended = [rows]
        if first < x.shape[1]:
            columns = self._within_rows(query[:, first:].transpose(2, 3), value[:, first:].transpose(2, 3))
            attended.append(columns.transpose(2, 3))
        out = F.hardswish(torch.cat(attended, dim=1) + self.local(F.hardswish(value)))
        return self.norm(self.project(out))

    def _within_rows(self, query: Tensor, value: Tensor) -> Tensor:
        """(B, C, H, W) twice to (B, C, H, W); the last stripe may have fewer rows."""
        batch, channels, height, width = query.shape
        heads = next(n for n in range(max(1, channels // self.head_channels), 0, -1) if channels % n == 0)
        stripes = (height + self.stripe - 1) // self.stripe
        missing = stripes * self.stripe - height

        def cut(x: Tensor) -> Tensor:
            x = F.pad(x, (0, 0, 0, missing))
            # (B, C, H, W) -> (B, heads, C / heads, stripes, rows, W) -> (B, stripes, heads, rows, W, C / heads)
            x = x.reshape(batch, heads, channels // heads, stripes, self.stripe, width).permute(0, 3, 1, 4, 5, 2)
            # -> (B * stripes, heads, rows * W, C / heads): ONNX has attention of four dimensions only
            return x.reshape(batch * stripes, heads, self.stripe * width, channels // heads)

        row = torch.arange(stripes * self.stripe, device=query.device).reshape(stripes, 1, 1, self.stripe, 1)
        there = (row < height).expand(stripes, 1, 1, self.stripe, width).reshape(stripes, 1, 1, self.stripe * width)
        queries, values = cut(query), cut(value)
        out = F.scaled_dot_product_attention(queries, values, values, attn_mask=there.repeat(batch, 1, 1, 1))
        # (B * stripes, heads, rows * W, C / heads) -> (B, heads, C / heads, stripes, rows, W) -> (B, C, H, W)
        out = out.reshape(batch, stripes, heads, self.stripe, width, channels // heads).permute(0, 2, 5, 1, 3, 4)
        return out.reshape(batch, channels, stripes * self.stripe, width)[:, :, :height]


class _Inside(Protocol):
    def activate(self, channels: int, slot: int = 0) -> None: ...
    def __call__(self, x: Tensor) -> Tensor: ...


class HRViTOp(Op):
    """``x + inside(norm(x))``, where ``x`` is the input, brought to the output's width by a 1x1 convolution where it
    has another, and to its stride by a 3x3 convolution.

    HRViT normalises each position over its channels; here it is batch norm, as everywhere in a supernet. An odd size is
    rounded up when going down.
    """

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
        self.inside: _Inside = self.make(out_channels, norm_cfg, slim)

    def make(self, channels: int, norm_cfg: Mapping[str, Any], slim: bool) -> Any:
        """What the subclass has inside."""
        raise NotImplementedError

    @property
    def droppable(self) -> bool:
        return True

    def activate(self, in_channels: Channels, out_channels: int, slot: int = 0) -> None:
        self.entered = self.down or total(in_channels) != out_channels
        if self.enter is not None and self.entered:
            self.enter.activate(in_channels, out_channels, slot)
        self.norm.activate(out_channels, slot)
        self.inside.activate(out_channels, slot)

    def forward(self, x: Tensor) -> Tensor:
        if self.enter is not None and self.entered:
            x = self.enter(x)
        return x + self.drop_path(self.inside(self.norm(x)))


@register_op('mixcfn')
class MixCFN(HRViTOp):
    """HRViT's mixed-scale feed-forward network, :class:`MixedScales` of ratio 4."""

    def make(self, channels: int, norm_cfg: Mapping[str, Any], slim: bool) -> MixedScales:
        return MixedScales(channels, 4, slim)


@register_op('hrvit_attn')
class HRViTAttn(HRViTOp):
    """HRViT's cross-shaped attention, :class:`StripedAttention` with stripes of 2, HRViT's at stride 8.

    HRViT adds a shortcut of the input that is a Kronecker product of two small matrices; here there is none.
    """

    def make(self, channels: int, norm_cfg: Mapping[str, Any], slim: bool) -> StripedAttention:
        return StripedAttention(channels, 2, norm_cfg, slim)
