"""Maps of segments: how they are encoded, and how many pixels each pair of a predicted and a true segment shares.

All that is done for each pixel is done here, on the device of the map: finding where runs of equal values start. What
is left, a few thousand runs an image, goes to the CPU in one piece.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hyctas_mm.errors import BadValue

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

INSTANCE_OFFSET = 1000
"""A predicted map holds ``label + instance_id * INSTANCE_OFFSET``.

The same number as mmdet's, which need not be installed here.
"""

VOID = 0
"""The id of true pixels that belong to no segment."""

_INFO_KEYS = ('id', 'category', 'is_thing', 'iscrowd')


@dataclass(frozen=True, eq=False)
class TrueSegments:
    """The annotated segments of one image by ascending id, in G + 1 rows of which the first is void.

    Attributes:
        ids: (G + 1,), ids in the map; ``ids[0]`` is 0.
        categories: (G + 1,), class indices; ``categories[0]`` is -1.
        iscrowd: (G + 1,), whether a segment is a crowd: neither to be found nor to be missed.
    """

    ids: Ints
    categories: Ints
    iscrowd: Bools

    @classmethod
    def from_infos(cls, infos: Sequence[Mapping[str, Any]], is_thing: Bools, image: str = 'image') -> TrueSegments:
        """Reads ``gt_segments_info``.

        Args:
            infos: One mapping for each segment with ``id``, ``category`` (class index), ``is_thing`` and ``iscrowd``.
            is_thing: (C,), whether each class of the dataset is a thing.
            image: What errors call the image.

        Raises:
            ValueError: Naming the segment that lacks a key, has an id that is not positive or not unique, a category
                outside the dataset, or an ``is_thing`` that is not its class's.
        """
        for info in infos:
            _check_info(info, is_thing, image)
        ordered = sorted(infos, key=lambda info: int(info['id']))
        ids = np.array([VOID, *(info['id'] for info in ordered)], dtype=np.int64)
        repeated = ids[1:][ids[1:] == ids[:-1]]
        if len(repeated):
            raise BadValue(
                f'{image}: ids {_listed(repeated)} are in segments_info more than once; each segment needs an id '
                'of its own'
            )
        return cls(
            ids=ids,
            categories=np.array([-1, *(info['category'] for info in ordered)], dtype=np.int64),
            iscrowd=np.array([False, *(bool(info['iscrowd']) for info in ordered)]),
        )

    def rows(self, ids: Ints, image: str = 'image') -> Ints:
        """The rows of ``ids``, which must be all ids of the image's map.

        Args:
            ids: (K,), in any order, as often as you like.
            image: What errors call the image.

        Returns:
            (K,), indices into the attributes.

        Raises:
            ValueError: If an id of the map has no segment, or a segment has no pixel in the map.
        """
        unknown = np.setdiff1d(ids, self.ids)
        if len(unknown):
            raise BadValue(
                f'{image}: ids {_listed(unknown)} are in the ground-truth map and not in segments_info; add '
                'them there, '
                f'or set their pixels to {VOID} (void)'
            )
        absent = np.setdiff1d(self.ids[1:], ids)
        if len(absent):
            raise BadValue(
                f'{image}: ids {_listed(absent)} are in segments_info and have no pixel in the ground-truth map; '
                'remove them from segments_info, '
                'or load the map at its original size if resizing lost them'
            )
        return np.searchsorted(self.ids, ids).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Overlaps:
    """The pairs of a predicted and a true value that share pixels, each pair once.

    Attributes:
        pred: (K,), values of the predicted map.
        gt: (K,), values of the true map.
        area: (K,), pixels.
    """

    pred: Ints
    gt: Ints
    area: Ints


def overlap_areas(pred: Tensor, gt: Tensor, image: str = 'image') -> Overlaps:
    """The joint histogram of two maps of integers; exact, whatever the values are.

    Args:
        pred: (H, W), integers, on any device.
        gt: (H, W), integers.
        image: What errors call the image.

    Raises:
        ValueError: If the maps differ in size.
    """
    if pred.shape != gt.shape:
        raise BadValue(
            f'{image}: the prediction is {_size(pred)} (height x width) and the ground truth {_size(gt)}; '
            'predictions must be resized to the size of the annotation'
        )
    pred_pixels, gt_pixels = pred.flatten(), gt.to(pred.device).flatten()  # (H, W) -> (H*W,)
    starts, lengths = runs(pred_pixels, gt_pixels)
    # one copy: each waits for the device
    pred_runs, gt_runs, areas = _to_numpy(torch.stack([pred_pixels[starts].long(), gt_pixels[starts].long(), lengths]))
    pred_values, pred_of_run = np.unique(pred_runs, return_inverse=True)
    gt_values, gt_of_run = np.unique(gt_runs, return_inverse=True)
    # indices, not values, make the joint key: the product of two large ids could overflow
    keys, key_of_run = np.unique(pred_of_run * len(gt_values) + gt_of_run, return_inverse=True)
    return Overlaps(
        pred=pred_values[keys // len(gt_values)],
        gt=gt_values[keys % len(gt_values)],
        area=summed(key_of_run, areas, len(keys)),
    )


def runs(pixels: Tensor, *others: Tensor) -> tuple[Tensor, Tensor]:
    """The runs of equal values; with several maps the runs in which none of them changes.

    Args:
        pixels: (H*W,).
        others: (H*W,) each, on the same device.

    Returns:
        (R,), indices where runs start; (R,), their lengths in pixels.
    """
    changed = pixels[1:] != pixels[:-1]
    for other in others:
        changed |= other[1:] != other[:-1]
    inner = changed.nonzero().flatten() + 1  # (R - 1, 1) -> (R - 1,)
    starts = torch.cat([inner.new_zeros(1), inner])
    return starts, starts.diff(append=inner.new_full((1,), len(pixels)))


def counted(values: Tensor, size: int) -> Tensor:
    """How often each of 0 to ``size - 1`` occurs in ``values`` (P,), int64: (size,), int64."""
    if values.is_cuda:  # bincount waits for the largest number
        return torch.zeros(size, dtype=torch.int64, device=values.device).index_add_(0, values, torch.ones_like(values))
    return torch.bincount(values, minlength=size)


def summed(index: npt.NDArray[Any], amounts: Ints, size: int) -> Ints:
    """Sums of ``amounts`` by ``index``, (size,). Pixel counts stay far below 2**53, so the sum in float64 is exact."""
    return np.bincount(index, weights=amounts, minlength=size).astype(np.int64)


def check_labels(labels: Ints, num_classes: int, image: str) -> None:
    """Refuses predicted labels that are neither a class nor void.

    Raises:
        ValueError: Naming the labels.
    """
    wrong = np.unique(labels[(labels < 0) | (labels > num_classes)])
    if len(wrong):
        raise BadValue(
            f'{image}: the prediction has labels {_listed(wrong)}, expected 0 to {num_classes - 1} or {num_classes} '
            'for void; '
            'is the head built for another number of classes?'
        )


def panoptic_labels(values: Ints, num_classes: int, image: str = 'image') -> Ints:
    """The labels of a predicted map's values.

    Args:
        values: (K,), in mmdet's encoding.
        num_classes: Number of classes, which is also the label of void.
        image: What errors call the image.

    Raises:
        ValueError: If a value is negative or its label is neither a class nor void.
    """
    if (values < 0).any():
        raise BadValue(
            f'{image}: the panoptic prediction has negative values {_listed(np.unique(values[values < 0]))}; '
            f'expected label + instance_id * {INSTANCE_OFFSET}, void is the label {num_classes}'
        )
    labels = values % INSTANCE_OFFSET
    check_labels(labels, num_classes, image)
    return labels


def _check_info(info: Mapping[str, Any], is_thing: Bools, image: str) -> None:
    missing = [key for key in _INFO_KEYS if key not in info]
    if missing:
        raise BadValue(
            f'{image}: an entry of segments_info lacks {missing}: {dict(info)}; expected the keys {list(_INFO_KEYS)}'
        )
    if info['id'] <= VOID:
        raise BadValue(f'{image}: segments_info has the id {info["id"]}; ids must be above {VOID}, which is void')
    category = info['category']
    if not 0 <= category < len(is_thing):
        raise BadValue(
            f'{image}: segment {info["id"]} has category {category}, which the dataset does not have; '
            f'expected a class index from 0 to {len(is_thing) - 1}, not a category_id of the file'
        )
    if bool(info['is_thing']) != is_thing[category]:
        raise BadValue(
            f'{image}: segment {info["id"]} has is_thing={info["is_thing"]}, but its category {category} is a '
            f'{"thing" if is_thing[category] else "stuff"} class in dataset_meta; make them agree'
        )


def _to_numpy(values: Tensor) -> Ints:
    return values.cpu().numpy().astype(np.int64)


def _size(values: Tensor) -> str:
    return 'x'.join(map(str, values.shape))


def _listed(values: Ints) -> str:
    """The first ten values for an error."""
    return str(values[:10].tolist()) + f' and {len(values) - 10} more' * (len(values) > 10)
