"""Checks label images against their images and the classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from hyctas_mm.wizard.data import DataError, Sizes

_ORIENTATION, _SIDEWAYS = 274, (5, 6, 7, 8)  # of EXIF
_SHOWN = 8
Labels = npt.NDArray[Any]


def image_hw(path: Path) -> tuple[int, int]:
    """Height and width of an image as OpenCV reads it, from its header.

    Raises:
        DataError: If it is no image.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(_ORIENTATION) in _SIDEWAYS
    except OSError as error:
        raise DataError([f'image {path} cannot be read ({error}); replace or remove it']) from None
    return (width, height) if turned else (height, width)


def read_label(path: Path) -> Labels:
    """A label image as numbers (H, W), read as mmseg reads it: of a palette image the indices.

    Raises:
        DataError: If it is no image, or has colours in place of class indices.
    """
    try:
        with Image.open(path) as image:
            bands, values = image.getbands(), np.asarray(image)
    except OSError as error:
        raise DataError([f'label {path} cannot be read ({error}); replace or remove it']) from None
    if len(bands) == 1:
        return values.astype(np.uint8) if values.dtype == bool else values
    colours = values[..., :3].reshape(-1, min(3, len(bands)))
    if (colours == colours[:, :1]).all():
        raise DataError(
            [
                f'label {path} has {len(bands)} equal channels ({"".join(bands)}); labels must have one: save each '
                'with its first channel only'
            ]
        )
    found = len(np.unique(colours, axis=0))
    raise DataError(
        [f'label {path} is a colour image ({"".join(bands)}, {found} colours); labels must hold class indices 0..n-1 '
         '(255 for void) in one channel: '
         'replace each colour by the index of its class and save as one-channel PNG']
    )  # fmt: skip


class LabelCheck:
    """Looks at pairs one by one and collects what is wrong.

    Args:
        classes: Names.
        reduce_zero_label: Whether 0 is void and 1..n are the classes.
        ignore_index: The void label.
    """

    def __init__(self, classes: Sequence[str], reduce_zero_label: bool = False, ignore_index: int = 255) -> None:
        self.classes, self.reduce_zero_label, self.ignore_index = tuple(classes), reduce_zero_label, ignore_index
        self.files: Counter[int] = Counter()
        self.example: dict[int, Path] = {}
        self.sizes: Counter[tuple[int, int]] = Counter()
        self.problems: list[str] = []
        self.checked = 0

    def look(self, image: Path, label: Path) -> None:
        """Looks at one pair."""
        self.checked += 1
        try:
            hw, values = image_hw(image), read_label(label)
        except DataError as error:
            self.problems += error.problems
            return
        self.sizes[hw] += 1
        if values.shape != hw:
            self.problems.append(
                f'image {image} is {hw[1]}x{hw[0]} but its label {label} is {values.shape[1]}x{values.shape[0]}; '
                'both must have one size: mend or remove the pair'
            )
        for value in np.flatnonzero(np.bincount(values.ravel())) if values.dtype == np.uint8 else np.unique(values):
            self.files[int(value)] += 1
            self.example.setdefault(int(value), label)

    def look_at_size(self, image: Path) -> None:
        """Looks at the size of an image only, which decides how batches are made."""
        try:
            self.sizes[image_hw(image)] += 1
        except DataError as error:
            self.problems += error.problems

    def finish(self) -> tuple[Sizes, list[str]]:
        """Sizes of the images, and notes on classes that do not occur.

        Raises:
            DataError: With everything that is wrong; the first few of a kind.
        """
        problems = self.problems[:_SHOWN]
        if len(self.problems) > _SHOWN:
            problems.append(
                f'and {len(self.problems) - _SHOWN} more images or labels of {self.checked} that were looked at'
            )
        problems += self._wrong_values()
        if problems:
            raise DataError(problems)
        first = 1 if self.reduce_zero_label else 0
        absent = [f'{name!r} ({index})' for index, name in enumerate(self.classes) if index + first not in self.files]
        notes = []
        if absent:
            notes.append(
                f'{len(absent)} of {len(self.classes)} classes occur in none of the {self.checked} labels looked at: '
                f'{", ".join(absent[:_SHOWN])}; '
                'no network learns them, and scores leave them out. Are number and order of the classes right?'
            )
        return Sizes.of(self.sizes), notes

    def _wrong_values(self) -> list[str]:
        count = len(self.classes)
        valid = {*range(count + 1), 255} if self.reduce_zero_label else {*range(count), self.ignore_index}
        wrong = sorted(set(self.files) - valid)
        if not wrong:
            return []
        worst = max(wrong, key=lambda value: self.files[value])
        shown = ', '.join(map(str, wrong[:_SHOWN])) + ', ...' * (len(wrong) > _SHOWN)
        expected = (
            f'0 (void), 1..{count} or 255'
            if self.reduce_zero_label
            else f'0..{count - 1} or {self.ignore_index} (void)'
        )
        text = (
            f'label {self.example[worst]} holds {worst}; expected {expected} for {count} classes. '
            f'{max(self.files[v] for v in wrong)} of {self.checked} labels looked at hold such values: {shown}'
        )
        return [f'{text}. {" ".join(self._hints(wrong))}']

    def _hints(self, wrong: Sequence[int]) -> list[str]:
        """What may help, the likelier first."""
        count, found = len(self.classes), set(self.files)
        hints = []
        if self.reduce_zero_label or self.ignore_index != 255:
            hints.append('Is --reduce-zero-label or --ignore-index wanted at all?')
        else:
            if wrong == [count] and 0 in found:
                hints.append(f'If 0 is void and 1..{count} are the classes: --reduce-zero-label.')
            if len(wrong) == 1 and 255 not in found:
                hints.append(f'If {wrong[0]} is void: --ignore-index {wrong[0]}.')
        below = [value for value in wrong if 0 <= value < 255]
        if below:
            hints.append(
                f'If these are classes, name all {max(below) + 1} with --classes; else replace them by 255 in '
                'the files.'
            )
        else:
            hints.append('Save labels with 8 bits, classes counted from 0.')
        return hints
