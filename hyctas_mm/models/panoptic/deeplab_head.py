"""Panoptic-DeepLab's own head, for any backbone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule
from mmseg.models.decode_heads.sep_aspp_head import DepthwiseSeparableASPPModule
from torch import Tensor, nn

from hyctas_mm.errors import BadValue
from hyctas_mm.models.backbones.hyctas import RELEASE_INIT
from hyctas_mm.models.layers import resize
from hyctas_mm.models.panoptic.base_head import BasePanopticHead
from hyctas_mm.registry import MODELS

SIZES = ('projections', 'channels', 'tower_channels')
"""What a config says of a branch."""


class Decoder(nn.Module):
    """One of the two branches: atrous spatial pyramid pooling, then low-level maps one after another, each beside the
    enlarged map under a separable 5x5 convolution, then for each prediction another such convolution and a predictor.

    Args:
        in_channels: Channels of the map that is pooled.
        low_channels: Channels of the low-level maps, the smallest map first.
        outputs: Channels of each prediction, by name.
        projections: Channels to which the low-level maps are projected.
        channels: Channels of the maps that are enlarged and fused.
        tower_channels: Channels before the predictors.
        aspp_channels: Channels of the pooling.
        dilations: Of the pooling.
        dropout_ratio: Dropout behind the pooling.
        norm_cfg: mmcv's norm config.
        align_corners: Of all resizing.
    """

    def __init__(
        self,
        in_channels: int,
        low_channels: Sequence[int],
        outputs: Mapping[str, int],
        projections: Sequence[int],
        channels: int,
        tower_channels: int,
        aspp_channels: int,
        dilations: Sequence[int],
        dropout_ratio: float,
        norm_cfg: Mapping[str, Any],
        align_corners: bool,
    ) -> None:
        super().__init__()
        norm, self.align_corners = dict(norm_cfg), align_corners
        self.whole = nn.Sequential(nn.AdaptiveAvgPool2d(1), ConvModule(in_channels, aspp_channels, 1, norm_cfg=norm))
        self.aspp = DepthwiseSeparableASPPModule(
            dilations=(1, *dilations),
            in_channels=in_channels,
            channels=aspp_channels,
            conv_cfg=None,
            norm_cfg=norm,
            act_cfg=dict(type='ReLU'),
        )
        pooled = (len(dilations) + 2) * aspp_channels
        self.join = nn.Sequential(ConvModule(pooled, aspp_channels, 1, norm_cfg=norm), nn.Dropout(dropout_ratio))
        self.project, self.fuse, size = nn.ModuleList(), nn.ModuleList(), aspp_channels
        for low, projected in zip(low_channels, projections, strict=True):
            self.project.append(ConvModule(low, projected, 1, norm_cfg=norm))
            self.fuse.append(_separable(size + projected, channels, norm))
            size = channels
        self.towers = nn.ModuleDict(
            {
                name: nn.Sequential(_separable(size, tower_channels, norm), nn.Conv2d(tower_channels, out, 1))
                for name, out in outputs.items()
            }
        )

    def forward(self, x: Tensor, low: Sequence[Tensor]) -> dict[str, Tensor]:
        """Returns each prediction, (B, channels, h, w) at the size of the last low-level map."""
        whole = resize(self.whole(x), x.shape[2:], self.align_corners)
        x = self.join(torch.cat([whole, *self.aspp(x)], dim=1))
        for project, fuse, fine in zip(self.project, self.fuse, low, strict=True):
            x = fuse(torch.cat([resize(x, fine.shape[2:], self.align_corners), project(fine)], dim=1))
        return {name: tower(x) for name, tower in self.towers.items()}


def _separable(in_channels: int, out_channels: int, norm_cfg: Mapping[str, Any]) -> nn.Module:
    module: nn.Module = DepthwiseSeparableConvModule(in_channels, out_channels, 5, padding=2, norm_cfg=norm_cfg)
    return module


@MODELS.register_module()
class PanopticDeepLabHead(BasePanopticHead):
    """Panoptic-DeepLab's head (Cheng et al., CVPR 2020, https://arxiv.org/abs/1911.10194) on the maps of any backbone:
    a semantic and an instance branch, each with a pyramid pooling and a decoder of its own.

    The defaults are the paper's, for a backbone whose last map has stride 16; at stride 32 ``dilations`` are half.
    NOTE(paper): The paper's figure does not show that the pooling's convolutions are separable; its authors say so with
    their code for detectron2 ("same as the original paper").

    Args:
        in_channels: Channels of all maps that the backbone gives.
        num_things_classes: Number of classes with instances; they come first.
        num_stuff_classes: Number of classes without.
        in_index: Which map is pooled.
        low_level: Which maps are fused after that, the smallest first; the predictions have the last one's size.
        dilations: Of the pyramid poolings.
        aspp_channels: Channels of the pyramid poolings.
        semantic: Sizes of the semantic branch: ``projections`` of the low-level maps, ``channels`` of the decoder,
            ``tower_channels`` before the predictor.
        instance: Those of the instance branch.
        loss_semantic: A loss with mmseg's interface that takes a weight for each pixel, or ``UpsampledCELoss``.
        center_weight: Weight of the centre loss.
        offset_weight: Weight of the offset loss.
        norm_cfg: Norm layers. With batch norm a training batch must have two images or more.
        dropout_ratio: Dropout behind the pyramid poolings.
        align_corners: Of all resizing in the head.
        init_cfg: mmengine's initialisation; by default that of the other panoptic head.

    Raises:
        ValueError: If ``in_index`` or ``low_level`` names a map that ``in_channels`` does not have, or a branch has
            other settings than those, or not one projection for each low-level map.

    Example:
        >>> backbone = dict(type='ResNet', depth=50, strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2), norm_eval=False)
        >>> head = dict(type='PanopticDeepLabHead', in_channels=[256, 512, 1024, 2048],
        ...     num_things_classes=8, num_stuff_classes=11)
        >>> model = dict(type='PanopticDeepLab', backbone=backbone, panoptic_head=head)
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_things_classes: int,
        num_stuff_classes: int,
        in_index: int = -1,
        low_level: Sequence[int] = (1, 0),
        dilations: Sequence[int] = (6, 12, 18),
        aspp_channels: int = 256,
        semantic: Mapping[str, Any] = dict(projections=(64, 32), channels=256, tower_channels=256),
        instance: Mapping[str, Any] = dict(projections=(32, 16), channels=128, tower_channels=32),
        loss_semantic: Mapping[str, Any] = dict(type='HardestPixelsCELoss', fraction=0.2),
        center_weight: float = 200.0,
        offset_weight: float = 0.01,
        norm_cfg: Mapping[str, Any] = dict(type='BN'),
        dropout_ratio: float = 0.1,
        align_corners: bool = False,
        init_cfg: Any = RELEASE_INIT,
    ) -> None:
        super().__init__(
            num_things_classes,
            num_stuff_classes,
            loss_semantic,
            center_weight,
            offset_weight,
            'exact',
            align_corners,
            init_cfg,
        )
        self.in_channels, self.in_index, self.low_level = list(in_channels), in_index, tuple(low_level)
        for index in (in_index, *low_level):
            if not -len(in_channels) <= index < len(in_channels):
                raise BadValue(
                    f'PanopticDeepLabHead: in_index={in_index} and low_level={self.low_level} with '
                    f'in_channels={self.in_channels}; expected places in that list'
                )
        sizes = dict(semantic=semantic, instance=instance)
        for name, branch in sizes.items():
            if set(branch) != set(SIZES) or len(branch['projections']) != len(low_level):
                raise BadValue(
                    f'PanopticDeepLabHead: {name}={dict(branch)}; expected {", ".join(SIZES)}, with one projection for '
                    f'each map of low_level={self.low_level}'
                )
        self.trunk = nn.ModuleDict(
            {
                name: Decoder(
                    self.in_channels[in_index],
                    [self.in_channels[index] for index in low_level],
                    outputs,
                    **sizes[name],
                    aspp_channels=aspp_channels,
                    dilations=dilations,
                    dropout_ratio=dropout_ratio,
                    norm_cfg=norm_cfg,
                    align_corners=align_corners,
                )
                for name, outputs in self.tasks.items()
            }
        )

    def predict_maps(self, features: Sequence[Tensor]) -> dict[str, dict[str, Tensor]]:
        """The maps ``semantic``, ``center`` and ``offset`` as ``'main'``.

        Args:
            features: The backbone's maps.

        Raises:
            ValueError: If they do not have the channels of ``in_channels``.
        """
        found = [x.shape[1] if isinstance(x, Tensor) else type(x).__name__ for x in features]
        if found != self.in_channels:
            raise BadValue(
                f'PanopticDeepLabHead: in_channels={self.in_channels}, but the backbone gives {found}; expected the '
                "channels of its maps (of a HyCTASBackbone with outputs='pyramid')"
            )
        low = [features[index] for index in self.low_level]
        maps = (decoder(features[self.in_index], low) for decoder in self.trunk.values())
        return dict(main={name: x for branch in maps for name, x in branch.items()})
