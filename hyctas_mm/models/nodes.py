"""Where maps of different strides meet.

NOTE(paper): section 3.2 has searchable nodes between all cells, which fuse branches of different resolutions and behave as binary gates. Here, as in
the release, there are none: branches exchange no maps before the head. The head fuses the maps of each branch, then the branches.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hyctas_mm.errors import BadValue
from hyctas_mm.models.layers import Channels, ConvBN, resize
from hyctas_mm.registry import MODELS


@MODELS.register_module()
class HyCTASNode(nn.Module):
    """Fuses a coarse map into the finer one of the same branch (paper section 3.2, "feature aggregation").

    NOTE(release): the paper says "the other feature map"; that it is the same branch's is the release's.

    The coarse map's channels are adjusted by a 1x1 convolution, it is upsampled, put before the finer map, and a 3x3 convolution fuses the
    two. Neither convolution has an activation.

    Args:
        coarse: Channels of the coarse map.
        fine: Channels of the finer map.
        out_channels: Channels of the result, at the finer map's size.
        norm_cfg: mmcv's norm config.
        slim: Whether the layers are slimmable.
        align_corners: Of the upsampling.
    """

    cost_unit = True

    def __init__(
        self, coarse: int, fine: int, out_channels: int, norm_cfg: Mapping[str, Any], slim: bool = False, align_corners: bool = False
    ) -> None:
        super().__init__()
        self.sizes = (out_channels, fine)
        self.adjust = ConvBN(coarse, out_channels, 1, act=False, norm_cfg=norm_cfg, slim=slim)
        self.fuse = ConvBN([(size, size) for size in self.sizes], out_channels, 3, act=False, norm_cfg=norm_cfg, slim=slim)
        self.align_corners = align_corners

    def activate(self, coarse: int, fine: int, out_channels: int) -> None:
        """Chooses the channels of a slimmable node."""
        self.adjust.activate(coarse, out_channels)
        self.fuse.activate([(out_channels, self.sizes[0]), (fine, self.sizes[1])], out_channels)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        up = resize(self.adjust(coarse), fine.shape[2:], self.align_corners)
        return self.fuse(torch.cat([up, fine], dim=1))


class ChannelFusion(nn.Module):
    """Fuses concatenated maps: 1x1 convolution, then channel attention from the global average.

    NOTE(release): the paper has no such fusion; its aggregation ends with the 3x3 convolution of :class:`HyCTASNode`.
    Training needs two images or more in a batch, as the attention's batch norm sees one value per image.
    """

    cost_unit = True

    def __init__(self, in_channels: Channels, out_channels: int, norm_cfg: Mapping[str, Any], slim: bool = False) -> None:
        super().__init__()
        self.mix = ConvBN(in_channels, out_channels, 1, norm_cfg=norm_cfg, slim=slim)
        self.gate = nn.Sequential(
            ConvBN(out_channels, out_channels, 1, norm_cfg=norm_cfg, slim=slim),
            ConvBN(out_channels, out_channels, 1, act=False, norm_cfg=norm_cfg, slim=slim),
        )

    def activate(self, in_channels: Channels, out_channels: int) -> None:
        """Chooses the channels of a slimmable fusion."""
        self.mix.activate(in_channels, out_channels)
        for conv in self.gate:
            conv.activate(out_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.mix(x)
        if self.training and y.shape[0] == 1:
            raise BadValue(
                'training a HyCTAS head needs a batch of 2 images or more per process (its channel attention normalises over the batch), got 1; '
                'raise train_dataloader.batch_size'
            )
        return y + y * torch.sigmoid(self.gate(F.adaptive_avg_pool2d(y, 1)))
