"""The adaptive head for panoptic segmentation: classes, centres and offsets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hyctas_mm.archs import Architecture, SearchSpace
from hyctas_mm.models.backbones.hyctas import RELEASE_INIT, BranchFeatures
from hyctas_mm.models.decode_heads.adaptive import AdaptiveHead, Arch, read_space
from hyctas_mm.models.layers import MakeBlock
from hyctas_mm.models.panoptic.base_head import BasePanopticHead
from hyctas_mm.registry import MODELS


@MODELS.register_module()
class HyCTASPanopticHead(AdaptiveHead, BasePanopticHead):
    """Predicts classes, a centre heatmap and offsets from any HyCTAS architecture (paper section 4; Panoptic-DeepLab).

    Two trunks work on one aggregation: the semantic one and the instance one, which has a tower for centres and a tower
    for offsets. Their low-level fusion follows the architecture: with it the maps have stride 4, without it 8. In
    training light auxiliary trunks of both kinds work at strides 16 and 32.

    Args:
        arch: As in ``HyCTASBackbone``.
        search_space: As in ``HyCTASBackbone``.
        base_channels: As in ``HyCTASBackbone``.
        num_things_classes: Number of classes with instances; they come first.
        num_stuff_classes: Number of classes without.
        aux_weight: Weight of each auxiliary loss; 0 builds no auxiliary trunks.
        loss_semantic: A loss with mmseg's interface that takes a weight for each pixel, or ``UpsampledCELoss``.
        center_weight: Weight of the centre loss.
        offset_weight: Weight of the offset loss.
        offset_scale: How offsets change with the size of their map: ``'exact'`` by the ratio of the sizes;
            ``'release'`` both directions by ``floor((H - 1) / (h - 1))``, which checkpoints of the release are trained
            with. NOTE(release): that is too much at stride 32 (34 at 512 pixels) and for odd sizes.
        norm_cfg: Norm layers; ``BN`` or ``SyncBN`` in a supernet.
        dropout_ratio: Dropout before the predictors.
        node_cfg: The fusing node of the aggregation.
        shared_trunk: Of a supernet: whether all output combinations share the trunks behind their aggregations.
        align_corners: Of all resizing in the head.
        init_cfg: mmengine's initialisation; by default that of the release.

    Raises:
        ValueError: If not exactly one of ``arch`` and ``search_space`` is given, or ``offset_scale`` is none of those
            above.
    """

    def __init__(
        self,
        arch: Arch | None = None,
        search_space: Mapping[str, Any] | SearchSpace | None = None,
        base_channels: int = 8,
        *,
        num_things_classes: int,
        num_stuff_classes: int,
        aux_weight: float = 0.2,
        loss_semantic: Mapping[str, Any] = dict(type='HardestPixelsCELoss', fraction=0.2),
        center_weight: float = 200.0,
        offset_weight: float = 0.01,
        offset_scale: str = 'exact',
        norm_cfg: Mapping[str, Any] = dict(type='BN'),
        dropout_ratio: float = 0.0,
        node_cfg: Mapping[str, Any] = dict(type='HyCTASNode'),
        shared_trunk: bool = False,
        align_corners: bool = False,
        init_cfg: Any = RELEASE_INIT,
    ) -> None:
        space = read_space('HyCTASPanopticHead', arch, search_space)
        BasePanopticHead.__init__(
            self,
            num_things_classes,
            num_stuff_classes,
            loss_semantic,
            center_weight,
            offset_weight,
            offset_scale,
            align_corners,
            init_cfg,
        )
        self.build_parts(
            *(
                arch,
                space,
                base_channels,
                self.tasks,
                aux_weight,
                norm_cfg,
                dropout_ratio,
                node_cfg,
                align_corners,
                shared_trunk,
            )
        )

    def compose(self, arch: Architecture, features: BranchFeatures, block: MakeBlock) -> Any:
        """What the head does for ``arch``, with shapes for maps; see :class:`~hyctas_mm.costs.Blocks`."""
        return self.compose_maps(arch, features, block)
