"""The adaptive head for panoptic segmentation: classes, centres and offsets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmdet.structures import SampleList
from mmengine.model import BaseModule
from torch import Tensor

from hyctas_mm.archs import Architecture, SearchSpace
from hyctas_mm.errors import BadValue
from hyctas_mm.models.backbones.hyctas import RELEASE_INIT, BranchFeatures
from hyctas_mm.models.decode_heads.adaptive import AdaptiveHead, Arch, read_space
from hyctas_mm.models.layers import MakeBlock, resize
from hyctas_mm.models.losses import UpsampledCELoss
from hyctas_mm.models.panoptic.losses import center_loss, offset_loss
from hyctas_mm.models.post_processing import PanopticMaps
from hyctas_mm.registry import MODELS

OFFSET_SCALES = ('exact', 'release')


@MODELS.register_module()
class HyCTASPanopticHead(AdaptiveHead, BaseModule):
    """Predicts classes, a centre heatmap and offsets from any HyCTAS architecture (paper section 4; Panoptic-DeepLab).

    Two trunks work on one aggregation: the semantic one and the instance one, which has a tower for centres and a tower
    for offsets. Their low-level fusion follows the architecture. In training light auxiliary trunks of both kinds work
    at strides 16 and 32.

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
        if offset_scale not in OFFSET_SCALES:
            raise BadValue(
                f'HyCTASPanopticHead: offset_scale={offset_scale!r}; expected one of {", ".join(OFFSET_SCALES)}'
            )
        space = read_space('HyCTASPanopticHead', arch, search_space)
        BaseModule.__init__(self, [dict(c) for c in init_cfg] if isinstance(init_cfg, tuple) else init_cfg)
        self.num_things_classes, self.num_stuff_classes = num_things_classes, num_stuff_classes
        self.num_classes = num_things_classes + num_stuff_classes
        self.loss_semantic = MODELS.build(dict(loss_semantic))
        self.center_weight, self.offset_weight = center_weight, offset_weight
        self.offset_scale, self.align_corners = offset_scale, align_corners
        tasks = dict(semantic=dict(semantic=self.num_classes), instance=dict(center=1, offset=2))
        self.build_parts(
            *(
                arch,
                space,
                base_channels,
                tasks,
                aux_weight,
                norm_cfg,
                dropout_ratio,
                node_cfg,
                align_corners,
                shared_trunk,
            )
        )

    def forward(self, inputs: BranchFeatures) -> dict[str, Tensor]:
        """The main trunks' maps ``semantic``, ``center`` and ``offset`` at stride 8, at stride 4 with low-level
        fusion.
        """
        return self.predict_maps(inputs)['main']

    def compose(self, arch: Architecture, features: BranchFeatures, block: MakeBlock) -> Any:
        """What :meth:`forward` does for ``arch``, with shapes for maps; see :class:`~hyctas_mm.costs.Blocks`."""
        return self.compose_maps(arch, features, block)

    def upsample(
        self, maps: Mapping[str, Tensor], size: tuple[int, int], input_hw: tuple[int, int] | None = None
    ) -> PanopticMaps:
        """Brings the raw maps to an image's height and width; offsets become pixels of that size.

        Args:
            maps: As :meth:`forward` gives them.
            size: Height and width to bring them to.
            input_hw: Those of the image that the maps were computed from, if it was a scaled one.
        """
        semantic = resize(maps['semantic'], size, self.align_corners)
        return PanopticMaps(semantic, *self._upsample_instances(maps, size, input_hw or size))

    def _upsample_instances(
        self, maps: Mapping[str, Tensor], size: tuple[int, int], input_hw: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        scale = [
            new / old * factor
            for new, old, factor in zip(size, input_hw, self._offset_factors(maps['offset'], input_hw), strict=True)
        ]
        center, offset = (
            resize(_at_least_single(maps[name]), size, self.align_corners) for name in ('center', 'offset')
        )
        return center, torch.stack([offset[:, 0] * scale[0], offset[:, 1] * scale[1]], 1)

    def _offset_factors(self, offset: Tensor, input_hw: tuple[int, int]) -> tuple[float, float]:
        """Pixels of the input per unit of the raw offsets, down and to the right."""
        height, width = offset.shape[2:]
        if self.offset_scale == 'release':
            factor = float((input_hw[0] - 1) // max(1, height - 1))
            return factor, factor
        return input_hw[0] / height, input_hw[1] / width

    def loss(self, inputs: BranchFeatures, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """``loss_semantic``, ``loss_center`` and ``loss_offset``, then as ``aux16.*`` and ``aux32.*`` those of the
        auxiliary trunks.

        Args:
            inputs: The backbone's features.
            batch_data_samples: With ``gt_sem_seg`` and ``gt_panoptic_maps`` as ``PackPanopticInputs`` writes them, all
                of one size.
        """
        labels = torch.cat([sample.gt_sem_seg.sem_seg for sample in batch_data_samples]).long()  # (B, H, W)
        targets = {
            name: torch.stack([sample.gt_panoptic_maps.get(name) for sample in batch_data_samples]).float()
            for name in ('center', 'offset', 'center_weight', 'offset_weight', 'semantic_weight')
        }
        size = (labels.shape[1], labels.shape[2])
        losses = {}
        for name, raw in self.predict_maps(inputs).items():
            weight, prefix = (1.0, '') if name == 'main' else (self.aux_weight, f'{name}.')
            semantic = self._semantic_loss(raw['semantic'], labels, targets['semantic_weight'].squeeze(1))
            center, offset = self._upsample_instances(raw, size, size)
            of_centers = center_loss(center, targets['center'], targets['center_weight'])
            of_offsets = offset_loss(offset, targets['offset'], targets['offset_weight'])
            losses[f'{prefix}loss_semantic'] = weight * semantic
            losses[f'{prefix}loss_center'] = weight * self.center_weight * of_centers
            losses[f'{prefix}loss_offset'] = weight * self.offset_weight * of_offsets
        return losses

    def _semantic_loss(self, logits: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
        """Of logits (B, classes, h, w) for labels and weights (B, H, W)."""
        loss: Tensor
        if isinstance(self.loss_semantic, UpsampledCELoss):
            loss = self.loss_semantic(logits, labels, self.align_corners, weight=weight)
        else:
            loss = self.loss_semantic(resize(logits, labels.shape[1:], self.align_corners), labels, weight=weight)
        return loss


def _at_least_single(x: Tensor) -> Tensor:
    """Half precision has steps of half a pixel at 1024."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
