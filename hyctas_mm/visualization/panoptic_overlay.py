"""Label maps and panoptic maps drawn over images.

Images are BGR, as OpenCV reads and writes them; palettes are RGB, as data sets have them.
"""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from hyctas_mm.evaluation.segments import INSTANCE_OFFSET

Image = npt.NDArray[np.uint8]
Palette = Sequence[Sequence[int]]

_GOLDEN = 0.618034  # multiples of it, modulo 1, stay apart: neighbouring numbers look different
_MIN_NAMED = 0.0015  # part of the image that a segment must have to be named


def default_palette(size: int) -> list[list[int]]:
    """Colours (RGB) that differ, for data sets that have none."""
    colours = (
        colorsys.hsv_to_rgb(index * _GOLDEN % 1, 0.55 + 0.15 * (index % 4), 0.95 - 0.2 * (index % 3))
        for index in range(size)
    )
    return [[round(255 * part) for part in colour] for colour in colours]


def palette_of(metainfo: Mapping[str, Any]) -> Palette:
    """A data set's colours, or others that differ where it has none."""
    return metainfo.get('palette') or default_palette(len(metainfo['classes']))


def overlay(image: Image, labels: npt.NDArray[Any], palette: Palette, ignore_index: int = 255) -> Image:
    """Class colours over an image.

    Args:
        image: (H, W, 3), BGR.
        labels: (H, W), class indices; the ignored one stays black.
        palette: RGB of each class.
        ignore_index: The void label.

    Returns:
        (H, W, 3), BGR.
    """
    colours = np.zeros((256, 3), dtype=np.uint8)
    colours[: len(palette)] = np.asarray(palette, dtype=np.uint8)[:, ::-1]
    colours[ignore_index] = 0
    mixed: Image = cv2.addWeighted(image, 0.35, colours[labels.astype(np.uint8)], 0.65, 0)
    return mixed


def panoptic_overlay(
    image: Image, panoptic: npt.NDArray[Any], palette: Palette, classes: Sequence[str] | None = None
) -> Image:
    """Class colours over an image, things outlined and each in a shade of its own.

    Args:
        image: (H, W, 3), BGR.
        panoptic: (H, W), mmdet's encoding; labels without a colour (void) stay black.
        palette: RGB of each class.
        classes: Names, to be written into the segments that have room.

    Returns:
        (H, W, 3), BGR.
    """
    labels, instances = panoptic % INSTANCE_OFFSET, panoptic // INSTANCE_OFFSET
    mixed = overlay(image, np.where(labels < len(palette), labels, 255), palette)
    shade = np.where(instances > 0, 0.7 + 0.6 * (instances * _GOLDEN % 1), 1.0)
    mixed = np.clip(mixed * shade[..., None], 0, 255).astype(np.uint8)
    mixed[thing_outlines(panoptic)] = 255
    if classes is not None:
        for name in segment_names(panoptic, classes):
            _write(mixed, name)
    return mixed


def thing_outlines(panoptic: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Pixels (H, W) at which an instance of ``panoptic`` (H, W) borders on something else; lines are thicker in larger
    images.
    """
    things = np.where(panoptic >= INSTANCE_OFFSET, panoptic, -1)
    edge = np.zeros(things.shape, dtype=np.uint8)
    edge[:, 1:] |= things[:, 1:] != things[:, :-1]
    edge[1:] |= things[1:] != things[:-1]
    thickness = max(1, round(min(things.shape) / 400))
    return cv2.dilate(edge, np.ones((thickness, thickness), np.uint8)).astype(bool)


def true_panoptic(ids: npt.NDArray[Any], segments: Sequence[dict[str, Any]], num_classes: int) -> npt.NDArray[np.int64]:
    """Ground truth in the encoding of predictions.

    Args:
        ids: (H, W), segment ids, 0 is void.
        segments: ``dict(id, category, is_thing, iscrowd)`` of each.
        num_classes: The void label.

    Returns:
        (H, W); a crowd looks like stuff, as it is one region of several instances.
    """
    out = np.full(ids.shape, num_classes, dtype=np.int64)
    for number, segment in enumerate(segments, start=1):
        instance = number if segment['is_thing'] and not segment['iscrowd'] else 0
        out[ids == segment['id']] = segment['category'] + instance * INSTANCE_OFFSET
    return out


class SegmentName(NamedTuple):
    """A name and where it goes.

    Attributes:
        text: The class.
        left: Column of the text's left edge in pixels.
        bottom: Row of its lower edge.
        width: Of the text in pixels.
        height: Of the text in pixels.
        scale: OpenCV's font scale.
    """

    text: str
    left: int
    bottom: int
    width: int
    height: int
    scale: float

    def overlaps(self, other: SegmentName) -> bool:
        """Whether the two texts share pixels."""
        beside = self.left >= other.left + other.width or other.left >= self.left + self.width
        return not beside and self.bottom - self.height < other.bottom and other.bottom - other.height < self.bottom


def segment_names(panoptic: npt.NDArray[Any], classes: Sequence[str]) -> list[SegmentName]:
    """Names for the segments of a map (H, W) in mmdet's encoding that have room for one, larger segments first; void
    has none.
    """
    height, width = panoptic.shape
    scale = max(0.35, min(height, width) / 1200)
    values, flat = np.unique(panoptic, return_inverse=True)
    numbers = flat.reshape(panoptic.shape)  # (H*W,) -> (H, W)
    areas = np.bincount(flat.ravel())
    names: list[SegmentName] = []
    for number in np.argsort(-areas, kind='stable').tolist():
        label = int(values[number]) % INSTANCE_OFFSET
        if label >= len(classes) or areas[number] < _MIN_NAMED * height * width:
            continue
        name = _place(classes[label], _middle(numbers == number), (height, width), scale)
        if not any(name.overlaps(other) for other in names):
            names.append(name)
    return names


def _middle(mask: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """The pixel (row, column) of a mask (H, W) that is farthest from its border; the border of the image is one too."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, left = int(rows[0]), int(columns[0])
    inside = np.pad(mask[top : rows[-1] + 1, left : columns[-1] + 1], 1).astype(np.uint8)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 3)
    row, column = np.unravel_index(int(distance.argmax()), distance.shape)
    return top + int(row) - 1, left + int(column) - 1


def _place(text: str, middle: tuple[int, int], image_hw: tuple[int, int], scale: float) -> SegmentName:
    """Centres a text on a pixel (row, column), moved where it would leave the image."""
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    left = int(np.clip(middle[1] - width // 2, 0, max(0, image_hw[1] - width)))
    bottom = int(np.clip(middle[0] + height // 2, height, max(height, image_hw[0])))
    return SegmentName(text, left, bottom, width, height, scale)


def _write(image: Image, name: SegmentName) -> None:
    """Writes a name into an image in place: white on a black rim."""
    thickness = max(1, round(1.5 * name.scale))
    for colour, extra in (((0, 0, 0), 2), ((255, 255, 255), 0)):
        cv2.putText(
            image,
            name.text,
            (name.left, name.bottom),
            cv2.FONT_HERSHEY_SIMPLEX,
            name.scale,
            colour,
            thickness + extra,
            cv2.LINE_AA,
        )
