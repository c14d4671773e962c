"""SeaFormer's head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor, nn

from hyctas_mm.errors import BadValue
from hyctas_mm.models.layers import ConvBN, resize
from hyctas_mm.registry import MODELS


class Gating(nn.Module):
    """Projects the details and multiplies them with a gate from a coarser map, at the details' size."""

    def __init__(self, detail_channels: int, coarse_channels: int, channels: int, norm_cfg: Mapping[str, Any]) -> None:
        super().__init__()
        self.detail = ConvBN(detail_channels, channels, 1, act=False, norm_cfg=norm_cfg)
        self.gate = ConvBN(coarse_channels, channels, 1, act=False, norm_cfg=norm_cfg)

    def forward(self, detail: Tensor, coarse: Tensor) -> Tensor:
        return self.detail(detail) * resize(F.hardsigmoid(self.gate(coarse)), detail.shape[2:])


@MODELS.register_module()
class LightHead(BaseDecodeHead):
    """The finest map, gated by each coarser one in turn, then a factor and norm for each channel and the classes
    (SeaFormer, section 3.3).

    Args:
        embed_channels: Channels after each gate, from the second map on; the last are the head's ``channels``.
        **kwargs: Of mmseg's heads, but ``channels`` and ``input_transform``; ``in_channels`` and ``in_index`` begin
            with the finest map.

    Raises:
        ValueError: Without one entry of ``embed_channels`` for each map but the first.
    """

    def __init__(self, embed_channels: Sequence[int], **kwargs: Any) -> None:
        super().__init__(input_transform='multiple_select', channels=embed_channels[-1], **kwargs)
        finest, *coarser = self.in_channels
        if len(coarser) != len(embed_channels):
            raise BadValue(
                f'LightHead: embed_channels={list(embed_channels)} for in_channels={list(self.in_channels)}; expected '
                'one entry for each map but the first'
            )
        self.gatings = nn.ModuleList()
        for channels, embedded in zip(coarser, embed_channels, strict=True):
            self.gatings.append(Gating(finest, channels, embedded, self.norm_cfg))
            finest = embedded
        self.fuse = ConvBN(finest, finest, 1, depthwise=True, norm_cfg=self.norm_cfg)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """The maps to logits (B, classes, H, W) of the finest map's size."""
        x, *coarser = self._transform_inputs(inputs)
        for gating, coarse in zip(self.gatings, coarser, strict=True):
            x = gating(x, coarse)
        return self.cls_seg(self.fuse(x))
