"""The pipeline step that turns segment ids into what mmdet's top-down panoptic detectors are trained with."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from numpy.typing import NDArray

from hyctas_mm.datasets.panoptic.segment_ids import ids_from_seg_map, segment_numbers
from hyctas_mm.datasets.panoptic.targets import IGNORE_LABEL
from hyctas_mm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PanopticInstances(BaseTransform):
    """Makes boxes, labels and masks of the things, and semantic labels; put it after all geometric transforms and
    before ``PackDetInputs``.

    In the place of mmdet's ``LoadPanopticAnnotations``, which needs panopticapi. Boxes are those of the visible masks,
    so they are right after any crop. As there, crowd regions are no instances but keep their semantic label
    (``PanopticFPN`` merges all things into one class).

    Required keys: ``gt_seg_map`` of ``LoadPanoptic``, ``segments_info``. Modified key: ``gt_seg_map`` (H, W) int64, now
    the semantic labels, 255 on void. Added keys: ``gt_bboxes`` (N, 4) as (x1, y1, x2, y2) in pixels,
    ``gt_bboxes_labels`` (N,), ``gt_masks`` (N, H, W), ``gt_ignore_flags`` (N,), all False.

    Raises:
        ValueError: For a ``gt_seg_map`` that is not from ``LoadPanoptic``.

    Example:
        >>> train_pipeline = [
        ...     dict(type='LoadImageFromFile'), dict(type='LoadPanoptic'), dict(type='Resize', scale=(1333, 800),
        ...     keep_ratio=True),
        ...     dict(type='RandomFlip', prob=0.5), dict(type='PanopticInstances'), dict(type='PackDetInputs')]
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        segments = results['segments_info']
        numbers = segment_numbers(ids_from_seg_map(results['gt_seg_map']), segments)  # (H, W), 0 is void
        areas = np.bincount(numbers.ravel(), minlength=len(segments) + 1)
        chosen = [
            number
            for number, segment in enumerate(segments, start=1)
            if segment['is_thing'] and not segment['iscrowd'] and areas[number]
        ]
        masks = np.stack([numbers == number for number in chosen]) if chosen else np.zeros((0, *numbers.shape), bool)
        results['gt_masks'] = BitmapMasks(masks.astype(np.uint8), *numbers.shape)
        results['gt_bboxes'] = HorizontalBoxes(_boxes(masks))
        results['gt_bboxes_labels'] = np.array([segments[number - 1]['category'] for number in chosen], dtype=np.int64)
        results['gt_ignore_flags'] = np.zeros(len(chosen), dtype=bool)
        labels = np.array([IGNORE_LABEL] + [segment['category'] for segment in segments], dtype=np.int64)
        results['gt_seg_map'] = labels.take(numbers)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


def _boxes(masks: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Boxes (N, 4) around masks (N, H, W), none of them empty; x2 and y2 lie behind the last pixel."""
    boxes = np.zeros((len(masks), 4), dtype=np.float32)
    for box, mask in zip(boxes, masks, strict=True):
        columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
        box[:] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return boxes
