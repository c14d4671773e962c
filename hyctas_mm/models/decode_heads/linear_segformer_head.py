"""SegFormer's head as HRViT trains with."""

from __future__ import annotations

from typing import Any

from mmseg.models.decode_heads import SegformerHead
from torch import nn

from hyctas_mm.registry import MODELS


@MODELS.register_module()
class LinearSegformerHead(SegformerHead):
    """mmseg's ``SegformerHead`` whose projection of each map is linear: no norm, no activation.

    Args:
        **kwargs: As there.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.convs = nn.ModuleList(nn.Conv2d(channels, self.channels, 1) for channels in self.in_channels)
