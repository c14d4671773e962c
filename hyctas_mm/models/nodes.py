"""Where maps of different strides meet: between the cells of two branches, within a branch before the head, and in the
head.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hyctas_mm.errors import BadValue
from hyctas_mm.models.layers import Channels, ConvBN, resize
from hyctas_mm.models.synced_norm import together
from hyctas_mm.registry import MODELS


class Connection(nn.Module):
    """Brings a map to the stride and the channels of another, as HRNet and HRViT do: to a coarser stride by a depthwise
    convolution of that stride and a 1x1 convolution, to a finer one by a 1x1 convolution and bilinear resizing; all
    with batch norm, no activation.

    Args:
        source: Channels of the map.
        target: Channels that it gets.
        downs: How often the source's stride must be doubled to be the target's; negative where it must be halved.
        norm_cfg: mmcv's norm config.
        slim: Whether the layers are slimmable.
    """

    cost_unit = True

    def __init__(self, source: int, target: int, downs: int, norm_cfg: Mapping[str, Any], slim: bool = False) -> None:
        super().__init__()
        options: dict[str, Any] = dict(act=False, norm_cfg=norm_cfg, slim=slim)
        stride = 2**downs
        self.down = ConvBN(source, source, stride + 1, stride, depthwise=True, **options) if downs > 0 else None
        self.mix = ConvBN(source, target, 1, **options)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """(B, C, h, w) and a map of height and width (H, W) to (B, D, H, W)."""
        brought = self.mix(source if self.down is None else self.down(source))
        return resize(brought, target.shape[2:])


class GatedFusion(Connection):
    """An open gate between two branches: adds the map of one to that of the other (paper section 3.2, "nodes").

    NOTE(paper): it says that a node fuses branches of different resolutions and behaves as a binary gate, not how it
    fuses. This is HRNet's and HRViT's way, see :class:`Connection`.

    Args:
        source: Channels of the map that is added.
        target: Channels of the map that it is added to.
        downs: See :class:`Connection`.
        act: Whether ReLU follows: with the last of the gates to this map.
        norm_cfg: mmcv's norm config.
        slim: Whether the layers are slimmable.
    """

    def __init__(
        self, source: int, target: int, downs: int, act: bool, norm_cfg: Mapping[str, Any], slim: bool = False
    ) -> None:
        super().__init__(source, target, downs, norm_cfg, slim)
        self.act = act

    def activate(self, source: int, target: int, act: bool, slot: int = 0) -> None:
        """Chooses the channels of a slimmable fusion and, for the ``slot``-th use in a network, the batch norm
        statistics.
        """
        if self.down is not None:
            self.down.activate(source, source, slot)
        self.mix.activate(source, target, slot)
        self.act = act

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """(B, C, h, w) and (B, D, H, W) to (B, D, H, W)."""
        fused = target + super().forward(source, target)
        return F.relu(fused, inplace=True) if self.act else fused


@MODELS.register_module()
class HyCTASNode(nn.Module):
    """Fuses a coarse map into the finer one of the same branch (paper section 3.2, "feature aggregation").

    NOTE(release): the paper says "the other feature map"; that it is the same branch's is the release's.

    The coarse map's channels are adjusted by a 1x1 convolution, it is upsampled, put before the finer map, and a 3x3
    convolution fuses the two. Neither convolution has an activation.

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
        self,
        coarse: int,
        fine: int,
        out_channels: int,
        norm_cfg: Mapping[str, Any],
        slim: bool = False,
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        self.sizes = (out_channels, fine)
        self.adjust = ConvBN(coarse, out_channels, 1, act=False, norm_cfg=norm_cfg, slim=slim)
        self.fuse = ConvBN(
            [(size, size) for size in self.sizes], out_channels, 3, act=False, norm_cfg=norm_cfg, slim=slim
        )
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
    Training needs two images or more in a batch, over all processes with ``SyncBN``, as the attention's batch norm sees
    one value per image.
    """

    cost_unit = True

    def __init__(
        self, in_channels: Channels, out_channels: int, norm_cfg: Mapping[str, Any], slim: bool = False
    ) -> None:
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
        if self.training and y.shape[0] == 1 and not together(self.mix.bn):
            raise BadValue(
                'training a HyCTAS head needs a batch of 2 images or more per process (its channel attention '
                'normalises over the batch), got 1; '
                "raise train_dataloader.batch_size, or with several processes set norm_cfg type to 'SyncBN'"
            )
        return y + y * torch.sigmoid(self.gate(y.mean((2, 3), keepdim=True)))
