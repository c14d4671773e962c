"""The bottom-up panoptic detector, for mmdet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from inspect import signature
from typing import Any

import torch
from mmdet.models.detectors.base import BaseDetector
from mmdet.structures import OptSampleList, SampleList
from mmengine.structures import InstanceData, PixelData
from torch import Tensor

from hyctas_mm.errors import BadValue
from hyctas_mm.models.layers import resize
from hyctas_mm.models.post_processing import PanopticMaps, average_maps, check_options, panoptic_from_maps
from hyctas_mm.registry import MODELS


@MODELS.register_module()
class PanopticDeepLab(BaseDetector):
    """Panoptic segmentation from classes, centres and offsets (Panoptic-DeepLab, https://arxiv.org/abs/1911.10194;
    paper section 4).

    Args:
        backbone: A ``HyCTASBackbone`` with ``outputs='branches'``.
        panoptic_head: A ``HyCTASPanopticHead``.
        train_cfg: Not used.
        test_cfg: Arguments of :func:`panoptic_from_maps` (``threshold``, ``of_highest``, ``nms_kernel``, ``top_k``,
            ``stuff_area`` and so on), and for testing at several sizes ``scales`` (default ``(1.0,)``) and ``flip``
            (default False), the paper's double dagger.
        data_preprocessor: mmdet's ``DetDataPreprocessor``.
        init_cfg: mmengine's initialisation.

    Example:
        >>> backbone = dict(type='HyCTASBackbone', arch='hyctas-s', outputs='branches')
        >>> head = dict(type='HyCTASPanopticHead', arch='hyctas-s', num_things_classes=80, num_stuff_classes=53)
        >>> model = dict(type='PanopticDeepLab', backbone=backbone, panoptic_head=head,
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
        self.scales, self.flip = _positive(self.test_cfg.pop('scales', (1.0,))), self.test_cfg.pop('flip', False)
        known = [
            name
            for name, parameter in signature(panoptic_from_maps).parameters.items()
            if parameter.kind == parameter.KEYWORD_ONLY
        ]
        unknown = sorted(set(self.test_cfg) - set(known))
        if unknown:
            raise BadValue(
                f'PanopticDeepLab: test_cfg has {", ".join(unknown)}; expected some of scales, flip, '
                f'{", ".join(known[1:])}'
            )
        check_options(**self.test_cfg)

    def extract_feat(self, batch_inputs: Tensor) -> Any:
        return self.backbone(batch_inputs)

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Losses of the head; images (B, 3, H, W) and targets of the same size.

        Raises:
            ValueError: If a target's size is not the images', or the data set has other numbers of classes than the
                head.
        """
        self._check_classes(batch_data_samples)
        for sample in batch_data_samples:
            size, wanted = tuple(sample.gt_sem_seg.sem_seg.shape[-2:]), tuple(batch_inputs.shape[2:])
            if size != wanted:
                raise BadValue(
                    f'images are {wanted} after padding, but the labels of {sample.metainfo.get("img_path")} are '
                    f'{size}; crop and Pad to one '
                    'size that is a multiple of data_preprocessor.pad_size_divisor'
                )
        losses: dict[str, Tensor] = self.panoptic_head.loss(self.backbone(batch_inputs), batch_data_samples)
        return losses

    def _check_classes(self, samples: SampleList) -> None:
        own = (self.panoptic_head.num_things_classes, self.panoptic_head.num_stuff_classes)
        for sample in samples:
            theirs = tuple(sample.metainfo.get('class_counts', own))
            if theirs != own:
                raise BadValue(
                    f'the data set has {theirs[0]} thing and {theirs[1]} stuff classes, panoptic_head has '
                    f'num_things_classes={own[0]} and '
                    f'num_stuff_classes={own[1]}; set these in the config'
                )

    def _forward(self, batch_inputs: Tensor, batch_data_samples: OptSampleList = None) -> tuple[Tensor, ...]:
        """The raw maps ``(semantic, center, offset)``: what an exported or measured network computes."""
        return tuple(self.panoptic_head(self.extract_feat(batch_inputs)).values())

    @torch.no_grad()
    def predict_maps(self, batch_inputs: Tensor) -> PanopticMaps:
        """Maps at the size of the images, averaged over the sizes and flips of ``test_cfg``; ``semantic`` are then
        log-probabilities.
        """
        views = self._views(batch_inputs)
        return next(views)[0] if len(self.scales) == 1 and not self.flip else average_maps(views)

    def _views(self, batch_inputs: Tensor) -> Iterator[tuple[PanopticMaps, bool]]:
        """The maps of each scale and flip at the images' size, one after another, and whether the images were
        mirrored.
        """
        height, width = batch_inputs.shape[2:]
        for scale in self.scales:
            scaled = resize(batch_inputs, [round(height * scale), round(width * scale)])
            for flipped in (False, True) if self.flip else (False,):
                raw = self.panoptic_head(self.extract_feat(scaled.flip(3) if flipped else scaled))
                yield self.panoptic_head.upsample(raw, (height, width), (scaled.shape[2], scaled.shape[3])), flipped

    def predict(self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True) -> SampleList:
        """Segments images.

        Args:
            batch_inputs: (B, 3, H, W), padded to one size.
            batch_data_samples: Their meta data.
            rescale: Whether to segment at the size of the original images, else at the size that the network saw.

        Returns:
            The samples with ``pred_panoptic_seg`` (mmdet's encoding, label + 1000 * instance; void is the number of
            classes), ``pred_sem_seg`` and ``pred_instances`` (``labels``, ``scores``, ``bboxes``, ``panoptic_ids``).

        Raises:
            ValueError: If the data set has other numbers of classes than the head.
        """
        self._check_classes(batch_data_samples)
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
            semantic, center, offset = resize(semantic, size), resize(center, size), resize(offset, size)
            offset = torch.stack([offset[:, 0] * (size[0] / height), offset[:, 1] * (size[1] / width)], 1)
        return PanopticMaps(semantic, center, offset)

    def _segment(self, maps: PanopticMaps, sample: Any) -> None:
        head = self.panoptic_head
        result = panoptic_from_maps(*(m[0] for m in maps), num_things=head.num_things_classes, **self.test_cfg)
        sample.pred_panoptic_seg = PixelData(sem_seg=result.panoptic[None])  # (H, W) -> (1, H, W)
        sample.pred_sem_seg = PixelData(sem_seg=result.semantic[None])
        sample.pred_instances = InstanceData(
            labels=result.labels, scores=result.scores, bboxes=result.boxes, panoptic_ids=result.instance_ids
        )


def _positive(scales: Any) -> tuple[float, ...]:
    scales = tuple(scales) if isinstance(scales, Sequence) else (scales,)
    if not scales or any(not isinstance(scale, (int, float)) or scale <= 0 for scale in scales):
        raise BadValue(
            f'PanopticDeepLab: test_cfg scales={scales}; expected one or more positive numbers, e.g. (0.75, 1.0, 1.25)'
        )
    return scales
