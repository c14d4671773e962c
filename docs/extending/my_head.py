"""A decode head of one's own on the backbone: every map to a few channels, brought to one size, added, classified."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor, nn

from hyctas_mm.models.layers import resize
from hyctas_mm.registry import MODELS


@MODELS.register_module()
class MyHead(BaseDecodeHead):
    """Reads the backbone's pyramid; logits have the resolution of its finest map."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(input_transform='multiple_select', **kwargs)
        self.lateral = nn.ModuleList(nn.Conv2d(size, self.channels, 1) for size in self.in_channels)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        maps = [conv(x) for conv, x in zip(self.lateral, self._transform_inputs(inputs), strict=True)]
        finest = maps[0]
        return self.cls_seg(finest + sum(resize(x, finest.shape[2:]) for x in maps[1:]))  # (B, classes, H/4, W/4)
