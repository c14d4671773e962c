"""mmseg's IoU, counted where the predictions are."""

from __future__ import annotations

from typing import Any

import torch
from mmseg.evaluation import IoUMetric
from torch import Tensor

from hyctas_mm.evaluation.segments import counted


class IoUOnDevice(IoUMetric):
    """mmseg's ``IoUMetric`` without waiting for the device at every image: the areas stay there until the metrics are
    computed.

    A confusion matrix is counted in one pass, mmseg makes three histograms of selected pixels. The areas and the
    metrics are the same: exactly, as long as mmseg's float32 sums are exact (up to 2^24 pixels of a class).
    """

    default_prefix = ''  # None would warn that there is none, a second time

    @classmethod
    def like(cls, metric: Any) -> Any:
        """The metric that counts on the device in place of mmseg's own; another metric, and one that writes files, as
        it is.
        """
        if type(metric) is not IoUMetric or metric.output_dir or metric.format_only:
            return metric
        settings = {
            name: getattr(metric, name) for name in ('ignore_index', 'nan_to_num', 'beta', 'collect_device', 'prefix')
        }
        return cls(iou_metrics=metric.metrics, **settings)

    @staticmethod
    def intersect_and_union(
        pred_label: Tensor, label: Tensor, num_classes: int, ignore_index: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Areas of one image by class, on its device.

        Args:
            pred_label: Predicted classes, (H, W), int64.
            label: True classes, (H, W), int64; what is no class counts for the prediction only.
            num_classes: Number of classes.
            ignore_index: Label of pixels that do not count.

        Returns:
            Areas of intersection, union, prediction and truth, each (num_classes,), int64.
        """
        other = (label < 0) | (label >= num_classes)
        cell = label.masked_fill(other, num_classes) * num_classes + pred_label
        cell.masked_fill_(label == ignore_index, (num_classes + 1) * num_classes)  # its own, behind the matrix
        size = (num_classes + 1) * num_classes + 1
        counts = counted(cell.flatten(), size)
        matrix = counts[:-1].view(num_classes + 1, num_classes)  # (truth, prediction)
        intersect = matrix.diagonal().clone()  # a view would keep the matrix of every image
        pred, truth = matrix.sum(0), matrix[:-1].sum(1)
        return intersect, pred + truth - intersect, pred, truth

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Metrics of the sums, which are taken on the device and then copied at once."""
        sums = torch.stack([torch.stack(areas) for areas in zip(*results, strict=True)]).sum(1) if results else None
        return dict(super().compute_metrics(results if sums is None else [tuple(sums.float().cpu())]))
