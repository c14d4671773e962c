"""Panoptic quality and IoU of classes as sums over images. No mmengine in here.

Panoptic quality is that of COCO, "Panoptic Segmentation", https://arxiv.org/abs/1801.00868, section 4, void and crowd
as in section 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from hyctas_mm.evaluation.segments import (
    VOID,
    Bools,
    Ints,
    TrueSegments,
    check_labels,
    overlap_areas,
    panoptic_labels,
    summed,
)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PanopticSums:
    """What panoptic quality needs of any number of images; adding those of disjoint sets of images gives that of all.

    Attributes:
        iou: (C,), summed IoU of the matched segments of each class.
        tp: (C,), matched segments.
        fp: (C,), predicted segments without a match.
        fn: (C,), true segments without a match.
    """

    iou: Floats
    tp: Ints
    fp: Ints
    fn: Ints

    @classmethod
    def zero(cls, num_classes: int) -> PanopticSums:
        """The sums over no image."""
        none = np.zeros(num_classes, dtype=np.int64)
        return cls(iou=np.zeros(num_classes), tp=none, fp=none, fn=none)

    def __add__(self, other: PanopticSums) -> PanopticSums:
        return PanopticSums(self.iou + other.iou, self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    def quality(self) -> Floats:
        """PQ, SQ and RQ of each class in percent, (C, 3); NaN for a class that was neither annotated nor predicted, 0
        for one never matched.
        """
        segments = self.tp + 0.5 * (self.fp + self.fn)
        # 3 x (C,) -> (C, 3)
        rows = np.stack([_ratio(self.iou, segments), _ratio(self.iou, self.tp), _ratio(self.tp, segments)], axis=1)
        rows[(segments > 0) & (self.tp == 0), 1] = 0
        return 100 * rows


@dataclass(frozen=True, eq=False)
class ClassAreas:
    """What the IoU of classes needs of any number of images, in pixels.

    Attributes:
        intersection: (C,), pixels of a class that are predicted to be of it.
        union: (C,), pixels not void that are of a class or predicted to be of it.
    """

    intersection: Ints
    union: Ints

    @classmethod
    def zero(cls, num_classes: int) -> ClassAreas:
        """The areas of no image."""
        none = np.zeros(num_classes, dtype=np.int64)
        return cls(none, none)

    def __add__(self, other: ClassAreas) -> ClassAreas:
        return ClassAreas(self.intersection + other.intersection, self.union + other.union)

    def iou(self) -> Floats:
        """IoU of each class in percent, (C,); NaN for a class that was neither annotated nor predicted."""
        return 100 * _ratio(self.intersection, self.union)


def match_segments(
    pred: Tensor, gt: Tensor, segments: TrueSegments, num_classes: int, image: str = 'image'
) -> PanopticSums:
    """Matches the segments of one image.

    Two segments of one class match if their IoU, void pixels left out, is above one half; at most one can be. A crowd
    is neither found nor missed. A predicted segment without a match is wrong unless more than half of it lies on void
    or on crowds of its class.

    NOTE(panopticapi): it takes one crowd of each class into account, the last, since COCO has no more in an image; here
    all are.

    Args:
        pred: (H, W), ``label + instance_id * INSTANCE_OFFSET``, on any device. Each value is one segment; the label
            ``num_classes`` is void.
        gt: (H, W), segment ids, 0 is void.
        segments: The segments of ``gt``.
        num_classes: Number of classes C.
        image: What errors call the image.

    Raises:
        ValueError: If the maps differ in size, ids of ``gt`` and ``segments`` differ, or a predicted label is outside 0
            to ``num_classes``.

    Example:
        >>> infos = [dict(id=7, category=0, is_thing=True, iscrowd=0)]
        >>> truth = TrueSegments.from_infos(infos, is_thing=np.array([True]))
        >>> match_segments(torch.tensor([[1000, 1000]]), torch.tensor([[7, 7]]), truth, num_classes=1).tp
        array([1])
    """
    overlaps = overlap_areas(pred, gt, image)
    area = overlaps.area  # (K,), like all that follows up to where areas are summed
    values, p = np.unique(overlaps.pred, return_inverse=True)  # p, g: the predicted and the true segment of each pair
    pred_class = panoptic_labels(values, num_classes, image)  # (P,)
    g = segments.rows(overlaps.gt, image)
    same_class = pred_class[p] == segments.categories[g]  # false for void: it is -1 in the truth
    on_void, on_crowd = overlaps.gt == VOID, same_class & segments.iscrowd[g]

    pred_area, gt_area = summed(p, area, len(values)), summed(g, area, len(segments.ids))
    void_area = summed(p, area * on_void, len(values))
    ignored_area = void_area + summed(p, area * on_crowd, len(values))
    union = pred_area[p] + gt_area[g] - area - void_area[p]
    matched = same_class & ~segments.iscrowd[g] & (2 * area > union)  # in integers: an IoU of exactly one half is none

    missed = ~segments.iscrowd & ~_any_of(matched, g, len(segments.ids))
    missed[0] = False  # void
    wrong = (pred_class < num_classes) & ~_any_of(matched, p, len(values)) & (2 * ignored_area <= pred_area)
    classes = pred_class[p][matched]
    return PanopticSums(
        iou=np.bincount(classes, weights=area[matched] / union[matched], minlength=num_classes).astype(np.float64),
        tp=np.bincount(classes, minlength=num_classes),
        fp=np.bincount(pred_class[wrong], minlength=num_classes),
        fn=np.bincount(segments.categories[missed], minlength=num_classes),
    )


def class_areas(
    labels: Tensor, gt: Tensor, segments: TrueSegments, num_classes: int, image: str = 'image'
) -> ClassAreas:
    """Intersection and union of each class in one image; void pixels of the truth do not count, crowds are of their
    class.

    Args:
        labels: (H, W), predicted classes, ``num_classes`` is void: wrong wherever the truth is not void.
        gt: (H, W), segment ids, 0 is void.
        segments: The segments of ``gt``.
        num_classes: Number of classes C.
        image: What errors call the image.

    Raises:
        ValueError: As :func:`match_segments`.
    """
    overlaps = overlap_areas(labels, gt, image)
    check_labels(overlaps.pred, num_classes, image)
    truth = segments.categories[segments.rows(overlaps.gt, image)]  # (K,)
    counted = truth >= 0
    truth, predicted, area = truth[counted], overlaps.pred[counted], overlaps.area[counted]
    intersection = summed(truth, area * (truth == predicted), num_classes)
    either = summed(truth, area, num_classes) + summed(predicted, area, num_classes + 1)[:-1]  # the last is void
    return ClassAreas(intersection, either - intersection)


def mean_of(values: Floats) -> Floats:
    """Mean over the first axis of what is not NaN; NaN where nothing is."""
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0).sum(axis=0), known.sum(axis=0))


def _ratio(numerator: npt.ArrayLike, denominator: npt.ArrayLike) -> Floats:
    """The quotient, NaN where it is 0 / 0."""
    with np.errstate(invalid='ignore'):
        return np.divide(numerator, denominator, dtype=np.float64)


def _any_of(flags: Bools, index: npt.NDArray[np.intp], size: int) -> Bools:
    """Whether any flag is set for each index, (size,)."""
    found = np.zeros(size, dtype=np.bool_)
    found[index[flags]] = True
    return found
