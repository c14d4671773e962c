"""What a prediction that is the same everywhere scores, and which classes a network never predicts: is it worth
anything?
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hyctas_mm.evaluation.segments import INSTANCE_OFFSET, TrueSegments


class ConstantPrediction:
    """Collects samples as a metric does; then tells the scores of the best constant prediction, and what was never
    predicted.

    A constant prediction gives every pixel of every image one class, as one segment. Its mIoU and PQ follow from the
    areas of the true classes and segments alone.

    Args:
        meta: ``dataset_meta`` with ``classes``, for panoptic samples ``thing_classes`` too.
        ignore_index: Semantic label of pixels that do not count.
    """

    def __init__(self, meta: Mapping[str, Any], ignore_index: int = 255) -> None:
        self.classes = tuple(meta['classes'])
        self.is_thing = np.array([name in meta.get('thing_classes', ()) for name in self.classes])
        self.ignore_index = ignore_index
        self.panoptic = False
        classes = len(self.classes)
        self.true_area, self.predicted_area = np.zeros(classes, np.int64), np.zeros(classes, np.int64)
        # of the constant prediction of each class: IoU of what it finds, how often it does, how often it is wrong
        self._iou, self._found, self._wrong = np.zeros(classes), np.zeros(classes), np.zeros(classes)
        self._segments = np.zeros(classes)

    def process(self, samples: Sequence[Mapping[str, Any]]) -> None:
        """Adds samples as ``IoUMetric`` or ``PanopticQuality`` takes them; others are passed over."""
        for sample in samples:
            if 'gt_segments_info' in sample and 'pred_panoptic_seg' in sample:
                self.panoptic = True
                self._panoptic(sample)
            elif 'gt_sem_seg' in sample and 'pred_sem_seg' in sample:
                truth, predicted = _map(sample, 'gt_sem_seg'), _map(sample, 'pred_sem_seg')
                self.true_area += self._areas(truth[truth != self.ignore_index])
                self.predicted_area += self._areas(predicted)

    def add(self, other: ConstantPrediction) -> None:
        """Adds what another one has seen."""
        self.panoptic |= other.panoptic
        for name in ('true_area', 'predicted_area', '_iou', '_found', '_wrong', '_segments'):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def scores(self) -> dict[str, float]:
        """mIoU, and PQ for panoptic samples, of the constant prediction that has most of it, in percent.

        Empty without samples.
        """
        if not self.true_area.any():
            return {}
        # a class that is annotated and not predicted has 0, one that is neither does not count
        share = self.true_area.max() / self.true_area.sum()
        scores = {'mIoU': float(100 * share / np.count_nonzero(self.true_area))}
        if self.panoptic:
            quality = self._iou / np.maximum(self._found + (self._wrong + self._segments - self._found) / 2, 0.5)
            classes = np.count_nonzero(self._segments) + (self._segments == 0)  # with the predicted one
            scores['PQ'] = float(100 * (quality / classes).max())
        return scores

    def never_predicted(self) -> list[str]:
        """Classes that are annotated in some image and predicted in none."""
        lacking = (self.true_area > 0) & (self.predicted_area == 0)
        return [name for name, lacks in zip(self.classes, lacking, strict=True) if lacks]

    def _areas(self, labels: Tensor) -> Any:
        """Pixels by class, (C,); what is no class is left out."""
        labels = labels.flatten()  # (H, W) -> (H*W,)
        labels = labels[(labels >= 0) & (labels < len(self.classes))]
        return torch.bincount(labels.long(), minlength=len(self.classes)).cpu().numpy()

    def _panoptic(self, sample: Mapping[str, Any]) -> None:
        self.predicted_area += self._areas(_map(sample, 'pred_panoptic_seg').long() % INSTANCE_OFFSET)
        segments = TrueSegments.from_infos(sample['gt_segments_info'], self.is_thing)
        ids, counts = torch.unique(_map(sample, 'gt_panoptic_seg'), return_counts=True)
        areas = np.zeros(len(segments.ids), np.int64)
        areas[segments.rows(ids.cpu().numpy())] = counts.cpu().numpy()
        void, area, categories, crowd = areas[0], areas[1:], segments.categories[1:], segments.iscrowd[1:]
        labelled = int(area.sum())
        np.add.at(self.true_area, categories, area)
        for category in range(len(self.classes)):
            mine = categories == category
            found = mine & ~crowd & (2 * area > labelled)  # one at most
            ignored = void + area[mine & crowd].sum()
            self._iou[category] += area[found].sum() / max(1, labelled)
            self._found[category] += found.sum()
            self._segments[category] += (mine & ~crowd).sum()
            self._wrong[category] += not found.any() and 2 * ignored <= labelled + void


def _map(sample: Mapping[str, Any], key: str) -> Tensor:
    entry = sample[key]  # mmseg calls it data, mmdet sem_seg
    values: Tensor = entry['data'] if 'data' in entry else entry['sem_seg']
    return values.reshape(values.shape[-2:])  # (1, H, W) -> (H, W)
