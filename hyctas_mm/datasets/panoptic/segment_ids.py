"""Segment ids of COCO-panoptic PNGs: from colours and back, through mmdet's geometric transforms, and to segment
numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyctas_mm.errors import BadValue

VOID_ID = 0
MAX_ID = 2**24 - 1


def ids_from_rgb(png: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Reads segment ids ``R + 256 G + 65536 B``.

    Args:
        png: Colours (H, W, 3), RGB.

    Returns:
        Ids (H, W), 0 is void.
    """
    red, green, blue = (png[..., channel].astype(np.int32) for channel in range(3))  # NumPy 2 overflows uint8
    return red + (green << 8) + (blue << 16)


def rgb_from_ids(ids: NDArray[Any]) -> NDArray[np.uint8]:
    """Writes segment ids (H, W) as RGB colours (H, W, 3).

    Raises:
        ValueError: For an id outside 0..2^24-1.
    """
    if ids.size and not (ids.min() >= 0 and ids.max() <= MAX_ID):
        raise BadValue(f'segment ids reach from {ids.min()} to {ids.max()}; a PNG holds 0..{MAX_ID}')
    wide = ids.astype(np.int32)
    return np.stack([wide & 255, (wide >> 8) & 255, wide >> 16], axis=-1).astype(np.uint8)  # (H, W) -> (H, W, 3)


def seg_map_from_ids(ids: NDArray[np.int32]) -> NDArray[np.int32]:
    """The form in which ids (H, W) travel as ``gt_seg_map``: negated.

    ``Pad`` fills with 255 by default, which is a valid segment id too; a negated id cannot be mistaken for any fill
    value from 0 up.
    """
    return np.ascontiguousarray(-ids)


def ids_from_seg_map(seg_map: NDArray[Any]) -> NDArray[np.int32]:
    """Undoes :func:`seg_map_from_ids`; what was filled in since becomes void.

    Raises:
        ValueError: If the map cannot be one of ``LoadPanoptic``.
    """
    if seg_map.ndim != 2 or seg_map.dtype != np.int32:
        raise BadValue(
            f'gt_seg_map is {seg_map.dtype} {seg_map.shape}; expected int32 (H, W): load it with LoadPanoptic, and '
            'keep transforms that '
            'change its type out of the pipeline'
        )
    return np.maximum(-seg_map, VOID_ID)


def _run_starts(ids: NDArray[np.int32]) -> NDArray[np.intp]:
    """Flat indices where runs of one id start within the rows of a map (H, W): far fewer than pixels."""
    starts = np.ones(ids.shape, dtype=bool)
    np.not_equal(ids[:, 1:], ids[:, :-1], out=starts[:, 1:])
    return np.flatnonzero(starts)


def present_ids(ids: NDArray[np.int32]) -> NDArray[np.int32]:
    """Sorted distinct ids of a map (H, W)."""
    return np.unique(ids.ravel()[_run_starts(ids)])


def segment_numbers(ids: NDArray[np.int32], segments_info: Sequence[dict[str, Any]]) -> NDArray[np.int32]:
    """Numbers pixels by their segment's place in ``segments_info``.

    Args:
        ids: Segment ids (H, W).
        segments_info: Segments with their ``'id'``, which are not 0.

    Returns:
        (H, W): 0 for void and ids that are not listed, ``k + 1`` for ``segments_info[k]``.
    """
    listed = np.array([VOID_ID, *(segment['id'] for segment in segments_info)], dtype=np.int32)
    order = np.argsort(listed)
    starts = _run_starts(ids)
    values = ids.ravel()[starts]  # (R,)
    place = order[np.searchsorted(listed, values, sorter=order).clip(max=len(listed) - 1)]
    numbers = np.where(listed[place] == values, place, 0).astype(np.int32)
    return np.repeat(numbers, np.diff(starts, append=ids.size)).reshape(ids.shape)  # (R,) -> (H, W)
