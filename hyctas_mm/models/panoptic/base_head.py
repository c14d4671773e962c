"""What panoptic heads share: the losses of their maps, and the maps at the size of images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmdet.structures import SampleList
from mmengine.model import BaseModule
from torch import Tensor

from hyctas_mm.errors import BadValue
from hyctas_mm.models.layers import resize
from hyctas_mm.models.losses import UpsampledCELoss
from hyctas_mm.models.panoptic.losses import center_loss, offset_loss
from hyctas_mm.models.post_processing import PanopticMaps
from hyctas_mm.registry import MODELS

OFFSET_SCALES = ('exact', 'release')


class BasePanopticHead(BaseModule):
    """A head that predicts classes, a centre heatmap and offsets; which, :meth:`predict_maps` says.

    Args:
        num_things_classes: Number of classes with instances; they come first.
        num_stuff_classes: Number of classes without.
        loss_semantic: A loss with mmseg's interface that takes a weight for each pixel, or ``UpsampledCELoss``.
        center_weight: Weight of the centre loss.
        offset_weight: Weight of the offset loss.
        offset_scale: How offsets change with the size of their map: ``'exact'`` by the ratio of the sizes;
            ``'release'`` both directions by ``floor((H - 1) / (h - 1))``.
        align_corners: Of all resizing in the head.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: If ``offset_scale`` is none of those above.
    """

    aux_weight = 0.0

    def __init__(
        self,
        num_things_classes: int,
        num_stuff_classes: int,
        loss_semantic: Mapping[str, Any],
        center_weight: float,
        offset_weight: float,
        offset_scale: str,
        align_corners: bool,
        init_cfg: Any,
    ) -> None:
        if offset_scale not in OFFSET_SCALES:
            raise BadValue(
                f'{type(self).__name__}: offset_scale={offset_scale!r}; expected one of {", ".join(OFFSET_SCALES)}'
            )
        super().__init__([dict(c) for c in init_cfg] if isinstance(init_cfg, tuple) else init_cfg)
        self.num_things_classes, self.num_stuff_classes = num_things_classes, num_stuff_classes
        self.num_classes = num_things_classes + num_stuff_classes
        self.loss_semantic = MODELS.build(dict(loss_semantic))
        self.center_weight, self.offset_weight = center_weight, offset_weight
        self.offset_scale, self.align_corners = offset_scale, align_corners

    @property
    def tasks(self) -> dict[str, dict[str, int]]:
        """Of each branch the channels of its predictions, by name."""
        return dict(semantic=dict(semantic=self.num_classes), instance=dict(center=1, offset=2))

    def predict_maps(self, features: Any) -> dict[str, dict[str, Tensor]]:
        """The maps ``semantic``, ``center`` and ``offset``, at any stride, as ``'main'``; in training also those of
        auxiliary parts, whose losses count ``aux_weight``, under names of their own.
        """
        raise NotImplementedError

    def forward(self, inputs: Any) -> dict[str, Tensor]:
        """The maps ``semantic``, ``center`` and ``offset`` of the backbone's features."""
        return self.predict_maps(inputs)['main']

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

    def loss(self, inputs: Any, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """``loss_semantic``, ``loss_center`` and ``loss_offset``, then those of auxiliary parts, as ``aux16.*``.

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
