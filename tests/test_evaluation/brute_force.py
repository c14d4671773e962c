"""COCO's definition of panoptic quality written as it reads, with sets of pixels and fractions: slow, and shares
nothing with the metric.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

Pixels = set[tuple[int, int]]


def pixels_by_value(values: np.ndarray) -> dict[int, Pixels]:
    """The pixels of each value of an (H, W) map."""
    found: dict[int, Pixels] = defaultdict(set)
    for y in range(values.shape[0]):
        for x in range(values.shape[1]):
            found[int(values[y, x])].add((y, x))
    return dict(found)


def brute_force_sums(pred: np.ndarray, gt: np.ndarray, infos: Sequence[dict[str, Any]], num_classes: int) -> np.ndarray:
    """(C, 4): summed IoU, TP, FP, FN of each class in one image."""
    truth = pixels_by_value(gt)
    void = truth.pop(0, set())
    predicted = {value: pixels for value, pixels in pixels_by_value(pred).items() if value % 1000 != num_classes}
    sums = [[Fraction(0), 0, 0, 0] for _ in range(num_classes)]
    found, matched = set(), set()
    for info in infos:
        for value, pixels in predicted.items():
            if info['iscrowd'] or value % 1000 != info['category']:
                continue
            both = pixels & truth[info['id']]
            iou = Fraction(len(both), len(pixels) + len(truth[info['id']]) - len(both) - len(pixels & void))
            if iou > Fraction(1, 2):
                assert info['id'] not in found and value not in matched, 'a match must be unique'
                found.add(info['id'])
                matched.add(value)
                sums[info['category']][0] += iou
                sums[info['category']][1] += 1
    for value, pixels in predicted.items():
        ignored = set(void)
        for info in infos:
            if info['iscrowd'] and info['category'] == value % 1000:
                ignored |= truth[info['id']]
        if value not in matched and Fraction(len(pixels & ignored), len(pixels)) <= Fraction(1, 2):
            sums[value % 1000][2] += 1
    for info in infos:
        if not info['iscrowd'] and info['id'] not in found:
            sums[info['category']][3] += 1
    return np.array([[float(number) for number in row] for row in sums])


def brute_force_quality(sums: np.ndarray) -> dict[str, float]:
    """PQ, SQ and RQ in percent, averaged over the classes of (C, 4) sums that have segments."""
    rows = []
    for iou, tp, fp, fn in sums:
        if tp + fp + fn:
            rows.append((iou / (tp + fp / 2 + fn / 2), iou / tp if tp else 0.0, tp / (tp + fp / 2 + fn / 2)))
    return {name: 100 * sum(row[i] for row in rows) / len(rows) for i, name in enumerate(('PQ', 'SQ', 'RQ'))}


def brute_force_class_iou(
    labels: np.ndarray, gt: np.ndarray, infos: Sequence[dict[str, Any]], num_classes: int
) -> list[float]:
    """IoU in percent of each class in one image over what is not void; NaN for a class that is nowhere."""
    truth = pixels_by_value(gt)
    void = truth.pop(0, set())
    ious = []
    for category in range(num_classes):
        predicted = pixels_by_value(labels).get(category, set()) - void
        annotated: Pixels = set().union(*(truth[info['id']] for info in infos if info['category'] == category))
        either = predicted | annotated
        ious.append(100 * len(predicted & annotated) / len(either) if either else float('nan'))
    return ious
