"""What was found out about a person's data, in the form that sizing and config writing need."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from hyctas_mm.errors import BadValue

T = TypeVar('T')
MIN_IMAGES = 16
"""Training images below which there is nothing to search."""


class DataError(BadValue):
    """The data cannot be used as it is.

    Attributes:
        problems: One sentence each, naming file and value and what to do.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__('; '.join(problems))
        self.problems = list(problems)

    @property
    def lines(self) -> list[str]:
        return self.problems


@dataclass(frozen=True)
class Sizes:
    """Sizes of the images.

    Attributes:
        typical_hw: Height and width: of all images, or their medians where they differ.
        one_size: Whether all images that were looked at have this size.
    """

    typical_hw: tuple[int, int]
    one_size: bool

    @classmethod
    def of(cls, counts: Counter[tuple[int, int]]) -> Sizes:
        """From the number of images of each (height, width)."""
        heights, widths = ([hw[i] for hw in counts.elements()] for i in (0, 1))
        return cls((int(statistics.median(heights)), int(statistics.median(widths))), len(counts) == 1)


@dataclass(frozen=True)
class Split:
    """How the images are used.

    Attributes:
        fit: Training images that the supernet's weights see.
        select: Training images that candidates are scored on, seen by no weight of the supernet.
        val: Images that judge the result only.
        select_by: How ``select`` was chosen, in words.
        val_held_out: Whether ``val`` was held out of the training images, because the folder has no split for it.
    """

    fit: tuple[str, ...]
    select: tuple[str, ...]
    val: tuple[str, ...]
    select_by: str
    val_held_out: bool

    @property
    def train(self) -> tuple[str, ...]:
        """All images that the chosen networks are retrained on."""
        return tuple(sorted((*self.fit, *self.select)))


@dataclass(frozen=True)
class SemanticData:
    """A folder of images and label images.

    Attributes:
        root: The folder.
        train_folders: Folders of the training images and their labels, relative to ``root``.
        val_folders: Those of the validation images.
        img_suffix: What an image's name has behind its stem, e.g. ``'_leftImg8bit.png'``.
        label_suffix: What a label's name has behind the same stem.
        classes: Names.
        palette: RGB of each class.
        split: Stems, relative to the folders.
        sizes: Of the images.
        reduce_zero_label: Whether label 0 is void and 1..n are the classes.
        ignore_index: The void label.
        notes: What a person should know, one sentence each.
    """

    root: Path
    train_folders: tuple[str, str]
    val_folders: tuple[str, str]
    img_suffix: str
    label_suffix: str
    classes: tuple[str, ...]
    palette: list[list[int]]
    split: Split
    sizes: Sizes
    reduce_zero_label: bool = False
    ignore_index: int = 255
    notes: tuple[str, ...] = ()
    score: str = 'mIoU'


@dataclass(frozen=True)
class PanopticFile:
    """A COCO-panoptic JSON with its folders, relative to the data's root."""

    ann_file: str
    seg: str
    images: str


@dataclass(frozen=True)
class PanopticData:
    """Images in COCO-panoptic form.

    Attributes:
        root: The folder.
        train_file: JSON, PNGs and images to train on.
        val_file: Those to validate on; the same where validation images are held out.
        things: Names of the thing classes.
        stuff: Names of the stuff classes.
        split: Names of the images in the JSON.
        order: Names of all training images in the JSON's order, which indices count.
        sizes: Of the images.
        thing_side: Median side of a thing in pixels, the root of its area.
        notes: What a person should know, one sentence each.
    """

    root: Path
    train_file: PanopticFile
    val_file: PanopticFile
    things: tuple[str, ...]
    stuff: tuple[str, ...]
    split: Split
    order: tuple[str, ...]
    sizes: Sizes
    thing_side: float
    notes: tuple[str, ...] = ()
    score: str = 'PQ'

    @property
    def classes(self) -> tuple[str, ...]:
        """All names, things first."""
        return (*self.things, *self.stuff)

    def indices(self, names: Sequence[str]) -> list[int]:
        """Places of images in the training JSON."""
        place = {name: index for index, name in enumerate(self.order)}
        return sorted(place[name] for name in names)


Data = SemanticData | PanopticData


def evenly(items: Sequence[T], count: int) -> list[T]:
    """``count`` items spread over all of them; all for 0."""
    if not count or count >= len(items):
        return list(items)
    return [items[round(i)] for i in np.linspace(0, len(items) - 1, count)]
