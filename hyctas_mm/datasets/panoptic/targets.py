"""Training targets of Panoptic-DeepLab (https://arxiv.org/abs/1911.10194, section 3): semantic labels, centre heatmap,
offsets, weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyctas_mm.datasets.panoptic.segment_ids import segment_numbers

IGNORE_LABEL = 255

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class TargetMaps:
    """Targets of one image of H x W pixels; all but ``semantic`` are float32.

    Attributes:
        semantic: Labels (H, W) int64, 255 on void.
        center: Heatmap (1, H, W) in 0..1, exactly 1 at the pixel nearest to each instance's centre of mass.
        offset: (2, H, W) as (down, right) in pixels: pixel + offset = centre of mass. 0 off the instances.
        center_weight: (1, H, W), 0 on void and crowd, else 1.
        offset_weight: (1, H, W), 1 on instances, else 0.
        semantic_weight: (1, H, W), ``small_weight`` on small instances, else 1.
    """

    semantic: NDArray[np.int64]
    center: Floats
    offset: Floats
    center_weight: Floats
    offset_weight: Floats
    semantic_weight: Floats


def draw_centers(height: int, width: int, rows: NDArray[np.int64], columns: NDArray[np.int64], sigma: float) -> Floats:
    """Draws a Gaussian of height 1 around each of N pixels, in windows of 3 sigma + 1 to each side; where they overlap
    the larger value stays.

    Args:
        height: Map height in pixels.
        width: Map width in pixels.
        rows: Rows (N,) in 0..height-1.
        columns: Columns (N,) in 0..width-1.
        sigma: Standard deviation in pixels.

    Returns:
        Heatmap (height, width).
    """
    reach = int(np.ceil(3 * sigma)) + 1
    steps = np.arange(-reach, reach + 1)
    window = np.exp(-(steps[:, None] ** 2 + steps**2) / (2 * sigma**2)).astype(np.float32)
    # a margin, so that no window needs clipping
    heatmap = np.zeros((height + 2 * reach, width + 2 * reach), dtype=np.float32)
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        part = heatmap[row : row + 2 * reach + 1, column : column + 2 * reach + 1]
        np.maximum(part, window, out=part)
    return heatmap[reach : reach + height, reach : reach + width]


def mass_centers(numbers: NDArray[np.int32], count: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Areas (count,) in pixels and centres of mass (count, 2) as (row, column) of the segments numbered 0..count-1 in
    ``numbers`` (H, W).

    Segments without pixels have centre (0, 0).
    """
    wide = numbers.astype(np.intp)
    areas, sums = np.zeros(count, dtype=np.int64), np.zeros((count, 2), dtype=np.int64)
    for axis, steps in enumerate(np.ogrid[: wide.shape[0], : wide.shape[1]]):
        # How many pixels each segment has in each row or column: counting is several times as fast as adding up
        # coordinates.
        pixels = np.bincount((wide + steps * count).ravel(), minlength=steps.size * count).reshape(steps.size, count)
        areas, sums[:, axis] = pixels.sum(axis=0), steps.ravel() @ pixels
    return areas, sums / np.maximum(areas, 1)[:, None]


def build_targets(
    ids: NDArray[np.int32],
    segments_info: Sequence[dict[str, Any]],
    sigma: float = 8.0,
    small_area: float = 4096.0,
    small_weight: float = 3.0,
    ignore_crowd: bool = True,
) -> TargetMaps:
    """Makes the targets of one image.

    An instance is what a thing segment that is no crowd shows in ``ids``: one that a crop cuts has the centre and area
    of what is left.

    NOTE(release): its heatmap had shape (H, W), which its loss broadcast over the batch; its weights were 255 where
    COCO images are padded.

    Args:
        ids: Segment ids (H, W), 0 is void.
        segments_info: ``dict(id, category, is_thing, iscrowd)`` each; those without pixels are skipped.
        sigma: Standard deviation of the Gaussians in pixels.
        small_area: Instances of fewer pixels are small.
        small_weight: Semantic weight of small instances.
        ignore_crowd: Whether crowd regions are void for the semantic labels too.

    Returns:
        The targets.
    """
    height, width = ids.shape
    numbers = segment_numbers(ids, segments_info)  # (H, W), 0 is void
    crowd = np.array([True] + [bool(segment['iscrowd']) for segment in segments_info])  # void counts as crowd
    is_thing = np.array([False] + [bool(segment['is_thing']) for segment in segments_info])
    labels = np.array([IGNORE_LABEL] + [segment['category'] for segment in segments_info], dtype=np.int64)
    if ignore_crowd:
        labels[crowd] = IGNORE_LABEL
    areas, centers = mass_centers(numbers, len(labels))
    instance = is_thing & ~crowd & (areas > 0)
    peaks = np.rint(centers[instance]).astype(np.int64)  # (N, 2)
    on_instance = instance.astype(np.float32).take(numbers)  # take is three times as fast as indexing
    coordinates = np.ogrid[: np.float32(height), : np.float32(width)]
    offset = np.stack(
        [(centers[:, axis].astype(np.float32).take(numbers) - coordinates[axis]) * on_instance for axis in range(2)]
    )
    weights = np.where(instance & (areas < small_area), small_weight, 1.0).astype(np.float32)
    return TargetMaps(
        semantic=labels.take(numbers),
        center=draw_centers(height, width, peaks[:, 0], peaks[:, 1], sigma)[None],
        offset=offset,
        center_weight=(~crowd).astype(np.float32).take(numbers)[None],
        offset_weight=on_instance[None],
        semantic_weight=weights.take(numbers)[None],
    )
