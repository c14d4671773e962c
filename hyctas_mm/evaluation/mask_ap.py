"""Mask AP of things by pycocotools. Instances are kept as run lengths; nothing is written to disk.

NOTE(paper): Table 4 does not say which evaluator its AP on Cityscapes is of. Cityscapes' own (cityscapesscripts)
ignores instances below 100 pixels and limits no number of detections, so its AP and this one differ.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from hyctas_mm.errors import BadValue, MissingPackage
from hyctas_mm.evaluation.segments import INSTANCE_OFFSET, Bools, Ints, TrueSegments, runs

RLE = dict[str, Any]
MAX_DETECTIONS = 100
"""Instances of a class and image that count, best score first: COCO's number."""


@dataclass(frozen=True)
class Instance:
    """One thing, annotated or predicted.

    Attributes:
        category: Class index.
        rle: Its mask as pycocotools encodes it.
        score: Confidence of a prediction.
        iscrowd: Whether an annotation is a crowd.
    """

    category: int
    rle: RLE
    score: float = 1.0
    iscrowd: bool = False


@dataclass(frozen=True)
class ImageInstances:
    """The things of one image.

    Attributes:
        image_hw: Height and width in pixels.
        truth: The annotated ones.
        predicted: The predicted ones.
    """

    image_hw: tuple[int, int]
    truth: tuple[Instance, ...]
    predicted: tuple[Instance, ...]


def require_pycocotools() -> None:
    """Fails early where AP could not be computed.

    Raises:
        ImportError: Naming the package and how to get it.
    """
    try:
        import pycocotools.mask  # noqa: F401
    except ImportError as error:
        raise MissingPackage(
            "the metric 'AP' needs the package pycocotools: pip install pycocotools, or leave 'AP' out of metrics"
        ) from error


def image_instances(
    pred_instances: Mapping[str, Tensor],
    pred: Tensor,
    gt: Tensor,
    segments: TrueSegments,
    is_thing: Bools,
    image: str = 'image',
) -> ImageInstances:
    """Collects the things of one image.

    Args:
        pred_instances: ``labels`` (N,), ``scores`` (N,), and ``masks`` (N, H, W), bool, or ``panoptic_ids`` (N,),
            values of ``pred``.
        pred: (H, W), the panoptic prediction.
        gt: (H, W), segment ids.
        segments: The segments of ``gt``.
        is_thing: (C,), whether each class is a thing.
        image: What errors call the image.

    Raises:
        ValueError: If a key is missing, lengths or sizes differ, a score is not finite, a label is no thing, or an id
            is not in ``pred``.
    """
    labels, scores = _labels_and_scores(pred_instances, is_thing, image)
    rles = _predicted_rles(pred_instances, labels, pred, image)
    things = np.flatnonzero((segments.categories >= 0) & is_thing[segments.categories])
    truth_rles = encode_segments(gt, segments.ids[things])
    return ImageInstances(
        image_hw=(gt.shape[0], gt.shape[1]),
        truth=tuple(
            Instance(int(segments.categories[i]), rle, iscrowd=bool(segments.iscrowd[i]))
            for i, rle in zip(things, truth_rles, strict=True)
        ),
        predicted=tuple(
            Instance(int(label), rle, float(score)) for label, rle, score in zip(labels, rles, scores, strict=True)
        ),
    )


def encode_segments(values: Tensor, wanted: Ints) -> list[RLE]:
    """Encodes segments of a map in one pass over its pixels.

    Args:
        values: (H, W), on any device.
        wanted: (N,), values whose masks to encode; the mask of a value that does not occur is empty.

    Returns:
        What ``pycocotools.mask.encode`` gives for each mask.
    """
    from pycocotools import mask as mask_utils

    height, width = values.shape
    pixels = values.T.flatten()  # (H, W) -> (W*H,): run lengths go down the columns
    starts_on_device, lengths_on_device = runs(pixels)
    of_run = pixels[starts_on_device].cpu().numpy()
    starts, lengths = starts_on_device.cpu().numpy(), lengths_on_device.cpu().numpy()
    order = np.argsort(of_run, kind='stable')  # by value, and from left to right among equals
    first, last = (np.searchsorted(of_run[order], wanted, side) for side in ('left', 'right'))
    rles = []
    for begin, end in zip(first, last, strict=True):
        mine = order[begin:end]
        edges = np.stack([starts[mine], starts[mine] + lengths[mine]], axis=1).ravel()  # (R, 2) -> (2*R,)
        counts = np.diff(edges, prepend=0, append=height * width)  # background and segment by turns
        if counts[-1] == 0:  # the segment reaches the last pixel
            counts = counts[:-1]
        rles.append(mask_utils.frPyObjects(dict(counts=counts.tolist(), size=[height, width]), height, width))
    return rles


def average_precision(images: Sequence[ImageInstances]) -> tuple[float, float]:
    """AP at IoU 0.50 to 0.95 and AP at 0.50 in percent, NaN if no thing is annotated but crowds.

    A detection counts as in COCO: the :data:`MAX_DETECTIONS` best of each class and image, and classes without
    annotations not at all.
    """
    categories = sorted({instance.category for image in images for instance in image.truth if not instance.iscrowd})
    if not categories:
        return float('nan'), float('nan')
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
        truth = _coco([image.truth for image in images], images, categories)
        predicted = _coco([image.predicted for image in images], images, categories)
        evaluator = COCOeval(truth, predicted, 'segm')
        evaluator.params.maxDets = [MAX_DETECTIONS]
        evaluator.params.areaRng, evaluator.params.areaRngLbl = [[0, 1e10]], ['all']
        evaluator.evaluate()
        evaluator.accumulate()
    precision = evaluator.eval['precision'][..., 0, 0]  # (T, R, K, 1, 1) -> (T, R, K): IoU threshold, recall, class
    return 100 * float(precision.mean()), 100 * float(precision[0].mean())


def _coco(instances: Sequence[Sequence[Instance]], images: Sequence[ImageInstances], categories: Sequence[int]) -> Any:
    """pycocotools' database, which its ``loadRes`` could not make of no predictions."""
    from pycocotools import mask as mask_utils
    from pycocotools.coco import COCO

    flat = [(index, instance) for index, of_image in enumerate(instances) for instance in of_image]
    coco = COCO()
    coco.dataset = dict(
        images=[
            dict(id=index, height=image.image_hw[0], width=image.image_hw[1]) for index, image in enumerate(images)
        ],
        categories=[dict(id=category) for category in categories],
        annotations=[
            dict(
                id=number,  # from 1: COCOeval takes 0 for "no match"
                image_id=index,
                category_id=instance.category,
                segmentation=instance.rle,
                area=float(mask_utils.area(instance.rle)),
                score=instance.score,
                iscrowd=int(instance.iscrowd),
            )
            for number, (index, instance) in enumerate(flat, 1)
        ],
    )
    coco.createIndex()
    return coco


def _labels_and_scores(pred_instances: Mapping[str, Tensor], is_thing: Bools, image: str) -> tuple[Ints, Any]:
    for key in ('labels', 'scores'):
        if key not in pred_instances:
            raise BadValue(f'{image}: pred_instances lacks {key!r}, has {sorted(pred_instances)}')
    labels = pred_instances['labels'].cpu().numpy()
    scores = pred_instances['scores'].double().cpu().numpy()  # NumPy has no bfloat16
    if labels.shape != scores.shape or labels.ndim != 1:
        raise BadValue(
            f'{image}: pred_instances has labels {labels.shape} and scores {scores.shape}; expected one of each for '
            'each instance'
        )
    if not np.isfinite(scores).all():
        raise BadValue(
            f'{image}: pred_instances has scores {scores[~np.isfinite(scores)][:10].tolist()}; expected finite numbers'
        )
    things = np.flatnonzero(is_thing)
    wrong = np.setdiff1d(labels, things)
    if len(wrong):
        raise BadValue(
            f'{image}: pred_instances has labels {wrong[:10].tolist()}, which are no things; expected some of '
            f'{things.tolist()}'
        )
    return labels, scores


def _predicted_rles(pred_instances: Mapping[str, Tensor], labels: Ints, pred: Tensor, image: str) -> list[RLE]:
    from pycocotools import mask as mask_utils

    if 'masks' in pred_instances:
        return _encode_masks(pred_instances['masks'], len(labels), tuple(pred.shape), image)
    if 'panoptic_ids' not in pred_instances:
        raise BadValue(
            f"{image}: pred_instances has neither 'masks' nor 'panoptic_ids', has {sorted(pred_instances)}; AP needs "
            'one of them'
        )
    ids = pred_instances['panoptic_ids'].cpu().numpy().astype(np.int64)
    if ids.shape != labels.shape:
        raise BadValue(
            f'{image}: pred_instances has panoptic_ids {ids.shape} for {len(labels)} labels; expected one for each'
        )
    if (ids % INSTANCE_OFFSET != labels).any():
        label, value = next(
            (label, value) for label, value in zip(labels, ids, strict=True) if value % INSTANCE_OFFSET != label
        )
        raise BadValue(
            f'{image}: pred_instances has the label {label} for the panoptic id {value}, whose label is '
            f'{value % INSTANCE_OFFSET}'
        )
    rles = encode_segments(pred, ids)
    absent = [int(value) for value, rle in zip(ids, rles, strict=True) if not mask_utils.area(rle)]
    if absent:
        raise BadValue(
            f'{image}: panoptic_ids {absent[:10]} have no pixel in pred_panoptic_seg; leave out instances that lost '
            'all of theirs'
        )
    return rles


def _encode_masks(masks: Tensor, count: int, image_hw: tuple[int, ...], image: str) -> list[RLE]:
    from pycocotools import mask as mask_utils

    if tuple(masks.shape) != (count, *image_hw):
        raise BadValue(
            f'{image}: pred_instances has masks {tuple(masks.shape)}, expected {(count, *image_hw)}, the size of the '
            'panoptic map'
        )
    stacked = masks.permute(1, 2, 0).bool().cpu().numpy()  # (N, H, W) -> (H, W, N)
    encoded: list[RLE] = mask_utils.encode(np.asfortranarray(stacked, dtype=np.uint8))
    return encoded
