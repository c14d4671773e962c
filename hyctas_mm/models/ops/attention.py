"""Memory-efficient self-attention (paper section 3.3, Figure 2) as the release computes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hyctas_mm.models.layers import Channels, ConvBN, SlimConv2d, batch_norm, total
from hyctas_mm.models.ops.base import Op
from hyctas_mm.models.ops.blockwise_attention import SMALL, blockwise_attention, is_faster_by_blocks, small_attention
from hyctas_mm.registry import register_op


class SelfAttention(nn.Module):
    """Single-head attention over all positions of a map, added to it: ``gamma * attention(x) + x`` with ``gamma`` 0 at
    the start.

    Queries and keys have an eighth of the channels, at least 1. Of maps that are not small no N x N matrix is kept:
    memory grows linearly with the positions.

    NOTE(paper): the paper says multi-head and no more. One head, the narrow queries and keys, ``gamma``, no positional
    term and no 1/sqrt(d) scale are the release's.
    """

    def __init__(self, channels: int, slim: bool = False) -> None:
        super().__init__()
        conv = SlimConv2d if slim else nn.Conv2d
        self.query = conv(channels, self.key_channels(channels), 1)
        self.key = conv(channels, self.key_channels(channels), 1)
        self.value = conv(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))

    @staticmethod
    def key_channels(channels: int) -> int:
        """Channels of queries and keys."""
        return max(1, channels // 8)

    def activate(self, channels: int) -> None:
        """Chooses the channels of a slimmable attention."""
        self.query.activate(channels, self.key_channels(channels))
        self.key.activate(channels, self.key_channels(channels))
        self.value.activate(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        # (B, C, H, W) -> (B, H*W, C)
        query, key, value = (conv(x).flatten(2).transpose(1, 2) for conv in (self.query, self.key, self.value))
        attention = _fused_attention
        if x.device.type == 'cpu' and not torch.compiler.is_compiling() and not torch.compiler.is_exporting():
            if height * width <= SMALL:
                attention = small_attention
            elif is_faster_by_blocks(height * width, channels):
                attention = blockwise_attention
        out = attention(query, key, value)
        # (B, H*W, C) -> (B, C, H, W)
        out = out.transpose(1, 2).reshape(batch, channels, height, width)
        # under autocast gamma is still float32, and would turn the maps to it
        return self.gamma.to(out.dtype) * out + x


def _fused_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """PyTorch's kernels without the N x N matrix: (B, N, K), (B, N, K), (B, N, C) -> (B, N, C).

    Zeros change no product, but the fused kernels ask for them: the CPU's wants equal widths, CUDA's want multiples of
    8. An exported graph has neither kernel and is spared the work.
    """
    # the kernels refuse strided channels
    query, key, value = (x.contiguous().unsqueeze(1) for x in (query, key, value))
    channels = value.shape[-1]
    if torch.compiler.is_exporting():
        pass
    elif value.device.type == 'cpu':
        query, key = _widen(query, channels), _widen(key, channels)
    elif value.device.type == 'cuda':
        query, key, value = (_widen(t, -(-t.shape[-1] // 8) * 8) for t in (query, key, value))
    return F.scaled_dot_product_attention(query, key, value, scale=1.0)[..., :channels].squeeze(1)


def _widen(x: Tensor, width: int) -> Tensor:
    return F.pad(x, (0, width - x.shape[-1])) if x.shape[-1] < width else x  # padded by nothing it would be copied


@register_op('attention')
class Attention(Op):
    """1x1 convolution, attention, 1x1 convolution, and a bypass of the input.

    The bypass is the identity where the widths agree, a 1x1 convolution where they do not, and a strided 3x3
    convolution going down; there the attention works at the input's resolution and is average-pooled after.
    NOTE(release): an odd size is rounded up going down, where the release crashes.

    NOTE(paper): there the first convolution reduces the channels and the second increases them, so that the attention
    is a bottleneck, and the bypass is always a convolution. In the release, and here, the first brings them to the
    output's width, and only queries and keys are narrow.

    A slimmable op holds the 1x1 bypass for every width and uses it where the fixed op would have one.
    """

    def __init__(
        self, in_channels: Channels, out_channels: int, down: bool, norm_cfg: Mapping[str, Any], slim: bool = False
    ) -> None:
        super().__init__(in_channels, out_channels, down, norm_cfg, slim)
        self.reduce = ConvBN(in_channels, out_channels, 1, norm_cfg=norm_cfg, slim=slim)
        self.attend = SelfAttention(out_channels, slim)
        self.norm = batch_norm(out_channels, norm_cfg, slim)
        self.expand = ConvBN(out_channels, out_channels, 1, act=False, norm_cfg=norm_cfg, slim=slim)
        self.down = down
        self.bypass: ConvBN | None = None
        if down:
            self.bypass = ConvBN(in_channels, out_channels, 3, stride=2, norm_cfg=norm_cfg, slim=slim)
        elif slim or total(in_channels) != out_channels:
            self.bypass = ConvBN(in_channels, out_channels, 1, norm_cfg=norm_cfg, slim=slim)
        self.bypassed = self.bypass is not None

    @property
    def droppable(self) -> bool:
        return True

    def activate(self, in_channels: Channels, out_channels: int, slot: int = 0) -> None:
        self.reduce.activate(in_channels, out_channels, slot)
        self.attend.activate(out_channels)
        self.norm.activate(out_channels, slot)
        self.expand.activate(out_channels, out_channels, slot)
        self.bypassed = self.down or total(in_channels) != out_channels
        if self.bypass is not None and self.bypassed:
            self.bypass.activate(in_channels, out_channels, slot)

    def forward(self, x: Tensor) -> Tensor:
        y = self.attend(self.reduce(x))
        if self.down:
            y = F.avg_pool2d(y, 2, ceil_mode=True, count_include_pad=False)
        y = self.drop_path(self.expand(F.relu(self.norm(y), inplace=True)))
        bypass = self.bypass(x) if self.bypass is not None and self.bypassed else x
        return F.relu(y + bypass, inplace=True)
