"""The bottom-up panoptic detector, for mmdet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmdet.models.detectors.base import BaseDetector
from mmdet.structures import OptSampleList, SampleList
from mmengine.structures import InstanceData, PixelData
from torch import Tensor

from hyctas_mm.models.layers import resize
from hyctas_mm.models.panoptic.post_processing import PanopticMaps, average_maps, panoptic_from_maps
from hyctas_mm.registry import MODELS


@MODELS.register_module()
class PanopticDeepLab(BaseDetector):
    """Panoptic segmentation from classes, centres and offsets (Panoptic-DeepLab, https://arxiv.org/abs/1911.10194; paper section 4).

    Args:
        backbone: A ``HyCTASBackbone`` with ``outputs='branches'``.
        panoptic_head: A ``HyCTASPanopticHead``.
        train_cfg: Not used.
        test_cfg: Arguments of :func:`panoptic_from_maps` (``threshold``, ``nms_kernel``, ``top_k``, ``stuff_area`` and so on), and for
            testing at several sizes ``scales`` (default ``(1.0,)``) and ``flip`` (default False), the paper's double dagger.
        data_preprocessor: mmdet's ``DetDataPreprocessor``.
        init_cfg: mmengine's initialisation.

    Example:
        >>> model = dict(type='PanopticDeepLab', backbone=dict(type='HyCTASBackbone', arch='hyctas-s', outputs='branches'),
        ...     panoptic_head=dict(type='HyCTASPanopticHead', arch='hyctas-s', num_things_classes=80, num_stuff_classes=53),
        ...     test_cfg=dict(scales=(0.75, 1.0, 1.25), flip=True))
    """

    def __init__(
        self,
        backbone: Mapping[str, Any],
        panoptic_head: Mapping[str, Any],
        train_cfg: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        data_preprocessor: Mapping[str, Any] | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.backbone = MODELS.build(backbone)
        self.panoptic_head = MODELS.build(panoptic_head)
        self.train_cfg = train_cfg
        self.test_cfg = dict(test_cfg or {})
        self.scales, self.flip = tuple(self.test_cfg.pop('scales', (1.0,))), self.test_cfg.pop('flip', False)

    def extract_feat(self, batch_inputs: Tensor) -> Any:
        return self.backbone(batch_inputs)

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Losses of the head; images (B, 3, H, W) and targets of the same size."""
        losses: dict[str, Tensor] = self.panoptic_head.loss(self.backbone(batch_inputs), batch_data_samples)
        return losses

    def _forward(self, batch_inputs: Tensor, batch_data_samples: OptSampleList = None) -> tuple[Tensor, ...]:
        """The raw maps ``(semantic, center, offset)``: what an exported or measured network computes."""
        return tuple(self.panoptic_head(self.backbone(batch_inputs)).values())

    @torch.no_grad()
    def predict_maps(self, batch_inputs: Tensor) -> PanopticMaps:
        """Maps at the size of the images, averaged over the sizes and flips of ``test_cfg``; ``semantic`` are then log-probabilities."""
        size = (batch_inputs.shape[2], batch_inputs.shape[3])
        views = []
        for scale in self.scales:
            scaled = resize(batch_inputs, [round(side * scale) for side in size])
            for flipped in (False, True) if self.flip else (False,):
                raw = self.panoptic_head(self.backbone(scaled.flip(3) if flipped else scaled))
                views.append((self.panoptic_head.upsample(raw, size), flipped))
        return views[0][0] if len(views) == 1 else average_maps(views)

    def predict(self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True) -> SampleList:
        """Segments images.

        Args:
            batch_inputs: (B, 3, H, W), padded to one size.
            batch_data_samples: Their meta data.
            rescale: Whether to segment at the size of the original images, else at the size that the network saw.

        Returns:
            The samples with ``pred_panoptic_seg`` (mmdet's encoding, label + 1000 * instance; void is the number of classes),
            ``pred_sem_seg`` and ``pred_instances`` (``labels``, ``scores``, ``bboxes``, ``panoptic_ids``).
        """
        maps = self.predict_maps(batch_inputs)
        for index, sample in enumerate(batch_data_samples):
            one = PanopticMaps(*(m[index : index + 1] for m in maps))
            self._segment(self._fit(one, sample.metainfo, rescale), sample)
        return batch_data_samples

    def _fit(self, maps: PanopticMaps, meta: Mapping[str, Any], rescale: bool) -> PanopticMaps:
        """Cuts off the padding and resizes to the original image."""
        height, width = meta['img_shape'][:2]
        semantic, center, offset = (m[:, :, :height, :width] for m in maps)
        if rescale and tuple(meta['ori_shape'][:2]) != (height, width):
            size = tuple(meta['ori_shape'][:2])
            scale = offset.new_tensor([size[0] / height, size[1] / width]).view(1, 2, 1, 1)
            semantic, center, offset = resize(semantic, size), resize(center, size), resize(offset, size) * scale
        return PanopticMaps(semantic, center, offset)

    def _segment(self, maps: PanopticMaps, sample: Any) -> None:
        head = self.panoptic_head
        result = panoptic_from_maps(*(m[0] for m in maps), num_things=head.num_things_classes, **self.test_cfg)
        sample.pred_panoptic_seg = PixelData(sem_seg=result.panoptic[None])  # (H, W) -> (1, H, W)
        sample.pred_sem_seg = PixelData(sem_seg=maps.semantic.argmax(1))
        sample.pred_instances = InstanceData(labels=result.labels, scores=result.scores, panoptic_ids=result.instance_ids)
