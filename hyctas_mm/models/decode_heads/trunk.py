"""From the fused map to predictions: attention, low-level fusion, decoder, predictor (the release's semantic and
instance heads).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hyctas_mm.models.layers import Channels, ConvBN, SlimConv2d, batch_norm, half_size, resize
from hyctas_mm.models.ops import LiteConv2x, SelfAttention
from hyctas_mm.registry import MODELS

PROJECTIONS = {'semantic': {'s4': (48,), 's4s8': (32, 64)}, 'instance': {'s4': (48,), 's4s8': (16, 32)}}
"""Channels to which the stem's maps at strides 4 and 8 are projected, by task and low-level variant."""


def middle_channels(in_channels: int) -> int:
    """Channels of the decoders: the fused map's, halved above 256."""
    return in_channels if in_channels <= 256 else in_channels // 2


def widest(in_channels: int, function: Callable[[int], int], slim: bool) -> int:
    """The most channels that ``function`` gives for any input up to ``in_channels``, which a slimmable layer must hold.

    A narrower input may have the wider decoder: 256 channels are kept, 264 are halved.
    """
    return max(function(in_channels), function(min(in_channels, 256))) if slim else function(in_channels)


@MODELS.register_module()
class HyCTASHeadAttention(nn.Module):
    """The head's attention: the attention op with identity bypass, the attention itself at half the resolution.

    NOTE(paper): the paper's head has none, this is the release's.
    NOTE(release): the result is resized to the input's size, not to twice the half, so odd sizes work.
    """

    cost_unit = True

    def __init__(
        self, channels: int, norm_cfg: Mapping[str, Any], slim: bool = False, align_corners: bool = False
    ) -> None:
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


class LowLevelFusion(nn.Module):
    """Attention on the fused map, then the stem's maps beside it: what the towers of a task read.

    Args:
        in_channels: Channels of the fused map, at full width if ``slim``.
        stem: Channels of the stem's maps at strides 4 and 8.
        low_level: ``'none'`` (the result keeps the fused map's stride), ``'s4'`` or ``'s4s8'`` (stride 4).
        attention: Whether there is the attention.
        task: ``'semantic'`` or ``'instance'``; they differ in widths.
        norm_cfg: mmcv's norm config.
        slim: Whether the layers are slimmable.
        align_corners: Of all resizing.
    """

    def __init__(
        self,
        in_channels: int,
        stem: tuple[int, int],
        low_level: str,
        attention: bool,
        task: str,
        norm_cfg: Mapping[str, Any],
        slim: bool = False,
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        options: dict[str, Any] = dict(norm_cfg=norm_cfg, slim=slim)
        self.full, self.low_level, self.task, self.align_corners = in_channels, low_level, task, align_corners
        self.sizes = PROJECTIONS[task].get(low_level, ())
        self.attention = HyCTASHeadAttention(in_channels, align_corners=align_corners, **options) if attention else None
        self.use_attention = attention
        self.project4 = self.project8 = self.decode8 = None
        self.decoded_full = widest(in_channels, self._decoded, slim)
        if low_level == 's4s8':
            size = self.sizes[1]
            self.project8 = ConvBN(stem[1], size, 1, act=False, **options)
            inputs = [(in_channels, in_channels), (size, size)]
            self.decode8 = LiteConv2x(inputs, self.decoded_full, False, align_corners=align_corners, **options)
        if low_level != 'none':
            self.project4 = ConvBN(stem[0], self.sizes[0], 1, act=False, **options)

    def _decoded(self, in_channels: int) -> int:
        """Channels after the fusion at stride 8.

        NOTE(release): its instance head narrows here already, its semantic head does not.
        """
        return middle_channels(in_channels) if self.task == 'instance' and self.low_level == 's4s8' else in_channels

    def out_channels(self, in_channels: int) -> Channels:
        """Channels of the result for a fused map of ``in_channels``."""
        return [(self._decoded(in_channels), self.decoded_full), (self.sizes[0],) * 2] if self.sizes else in_channels

    def activate(self, in_channels: int, stem: tuple[int, int], attention: bool) -> None:
        """Chooses the channels of a slimmable fusion and whether it uses its attention."""
        self.use_attention = attention
        if self.attention is not None and attention:
            self.attention.activate(in_channels)
        if self.project8 is not None and self.decode8 is not None:
            self.project8.activate(stem[1], self.sizes[1])
            self.decode8.activate([(in_channels, self.full), (self.sizes[1],) * 2], self._decoded(in_channels))
        if self.project4 is not None:
            self.project4.activate(stem[0], self.sizes[0])

    def forward(self, x: Tensor, stem4: Tensor, stem8: Tensor) -> Tensor:
        """Returns the map at the fused map's stride, or at stride 4 with low-level fusion."""
        if self.attention is not None and self.use_attention:
            x = self.attention(x)
        if self.project8 is not None and self.decode8 is not None:
            x = self.decode8(torch.cat([x, resize(self.project8(stem8), x.shape[2:], self.align_corners)], dim=1))
        if self.project4 is not None:
            low = self.project4(stem4)
            x = torch.cat([resize(x, low.shape[2:], self.align_corners), low], dim=1)
        return x


class Tower(nn.Module):
    """Decoder, one or more 3x3 convolutions and 1x1 predictor.

    Args:
        in_channels: Channels of the fused map, from which the decoder's width follows.
        inputs: Channels of the map that the tower reads.
        out_channels: Channels of the prediction.
        norm_cfg: mmcv's norm config.
        narrow: Whether the first 3x3 convolution halves the channels, as in the release's instance head.
        depth: Number of 3x3 convolutions, if ``slim`` the most.
        dropout_ratio: Dropout before the predictor.
        slim: Whether the layers are slimmable.
        align_corners: Of all resizing.
    """

    def __init__(
        self,
        in_channels: int,
        inputs: Channels,
        out_channels: int,
        norm_cfg: Mapping[str, Any],
        narrow: bool = False,
        depth: int = 1,
        dropout_ratio: float = 0.0,
        slim: bool = False,
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        self.narrow, self.out_channels, self.depth = narrow, out_channels, depth
        middle, refined = widest(in_channels, middle_channels, slim), widest(in_channels, self._refined, slim)
        self.decode = LiteConv2x(inputs, middle, False, norm_cfg=norm_cfg, slim=slim, align_corners=align_corners)
        self.refine = ConvBN(middle, refined, 3, norm_cfg=norm_cfg, slim=slim)
        self.refine_more = nn.ModuleList(
            ConvBN(refined, refined, 3, norm_cfg=norm_cfg, slim=slim) for _ in range(depth - 1)
        )
        self.dropout = nn.Dropout2d(dropout_ratio)
        self.predict = (SlimConv2d if slim else nn.Conv2d)(refined, out_channels, 1)

    def _refined(self, in_channels: int) -> int:
        return middle_channels(in_channels) // 2 if self.narrow else middle_channels(in_channels)

    def activate(self, in_channels: int, inputs: Channels, depth: int) -> None:
        """Chooses the channels of a slimmable tower and the number of its 3x3 convolutions."""
        self.depth = depth
        middle, refined = middle_channels(in_channels), self._refined(in_channels)
        self.decode.activate(inputs, middle)
        self.refine.activate(middle, refined)
        for conv in self.refine_more:
            conv.activate(refined, refined)
        self.predict.activate(refined, self.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.refine(self.decode(x))
        for number in range(self.depth - 1):
            x = self.refine_more[number](x)
        return self.predict(self.dropout(x))


class Trunk(nn.Module):
    """A low-level fusion and the towers of one task, or of several.

    Args:
        in_channels: Channels of the fused map, at full width if ``slim``.
        stem: Channels of the stem's maps at strides 4 and 8.
        outputs: Channels of each tower's prediction, by name.
        low_level: See :class:`LowLevelFusion`.
        attention: Whether the trunk has the attention.
        task: See :class:`LowLevelFusion`; instance towers halve their channels before the predictor.
        depth: See :class:`Tower`.
        dropout_ratio: Dropout before the predictor.
        **options: ``norm_cfg``, ``slim`` and ``align_corners``.
    """

    def __init__(
        self,
        in_channels: int,
        stem: tuple[int, int],
        outputs: Mapping[str, int],
        low_level: str,
        attention: bool,
        task: str = 'semantic',
        depth: int = 1,
        dropout_ratio: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__()
        self.fusion = LowLevelFusion(in_channels, stem, low_level, attention, task, **options)
        inputs = self.fusion.out_channels(in_channels)
        options |= dict(narrow=task == 'instance', depth=depth, dropout_ratio=dropout_ratio)
        self.towers = nn.ModuleDict(
            {name: Tower(in_channels, inputs, size, **options) for name, size in outputs.items()}
        )

    def activate(self, in_channels: int, stem: tuple[int, int], attention: bool = True, depth: int = 1) -> None:
        """Chooses the channels of a slimmable trunk, its depth, and whether it uses its attention."""
        self.fusion.activate(in_channels, stem, attention)
        for tower in self.towers.values():
            tower.activate(in_channels, self.fusion.out_channels(in_channels), depth)

    def forward(self, x: Tensor, stem4: Tensor, stem8: Tensor) -> dict[str, Tensor]:
        """Returns each tower's prediction, (B, channels, H/8, W/8), or at stride 4 with low-level fusion."""
        x = self.fusion(x, stem4, stem8)
        return {name: tower(x) for name, tower in self.towers.items()}
