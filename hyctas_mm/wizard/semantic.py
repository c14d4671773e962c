"""A folder for semantic segmentation, looked at and checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hyctas_mm.visualization.panoptic_overlay import default_palette
from hyctas_mm.wizard.data import DataError, SemanticData, evenly
from hyctas_mm.wizard.find_semantic import Folders, find_semantic
from hyctas_mm.wizard.hold_out import make_split
from hyctas_mm.wizard.labels import LabelCheck

MAX_CLASSES = 254


def read_classes(given: Sequence[str] | None, root: Path) -> tuple[str, ...]:
    """Class names: those given, or the lines of the text file given, or of ``classes.txt`` in the data's folder.

    Raises:
        DataError: If there are none, or a name is there twice.
    """
    files = (
        [Path(given[0])] if given and len(given) == 1 and Path(given[0]).suffix == '.txt' else [root / 'classes.txt']
    )
    if given and len(given) > 1:
        names = [str(name) for name in given]
        source = '--classes'
    elif files[0].is_file():
        names = [line.strip() for line in files[0].read_text(encoding='utf-8').splitlines() if line.strip()]
        source = str(files[0])
    elif given:
        raise DataError(
            [f'--classes {given[0]}: expected two names or more, or a text file (.txt) with a name on each line']
        )
    else:
        raise DataError(
            [
                'no class names: give --classes NAME NAME ... in the order of their indices, or a text file (there '
                f'is no {files[0]})'
            ]
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not 2 <= len(names) <= MAX_CLASSES:
        what = f'{", ".join(twice)} twice' if twice else f'{len(names)} names'
        raise DataError(
            [f'{source} holds {what}; expected 2 to {MAX_CLASSES} different names, one for each label index']
        )
    return tuple(names)


def look_at_semantic(
    root: Path,
    classes: tuple[str, ...],
    palette: Sequence[Sequence[int]] | None = None,
    train: Folders | None = None,
    val: Folders | None = None,
    img_suffix: str | None = None,
    label_suffix: str | None = None,
    skip_unpaired: bool = False,
    reduce_zero_label: bool = False,
    ignore_index: int = 255,
    check: int = 500,
    most_select: int = 256,
) -> SemanticData:
    """Finds images and labels, checks them, and deals the images out.

    Args:
        root: The folder of the data.
        classes: Names.
        palette: RGB of each class; colours that differ if None.
        train: See :func:`find_semantic`.
        val: See :func:`find_semantic`.
        img_suffix: See :func:`find_semantic`.
        label_suffix: See :func:`find_semantic`.
        skip_unpaired: See :func:`find_semantic`.
        reduce_zero_label: Whether label 0 is void and 1..n are the classes.
        ignore_index: The void label.
        check: Number of labels to look at, spread over all; 0 for all.
        most_select: The most images to score candidates on.

    Raises:
        DataError: With everything that is wrong.
    """
    if ignore_index != 255 and (reduce_zero_label or not len(classes) <= ignore_index <= 255):
        reason = 'with --reduce-zero-label void is 0' if reduce_zero_label else f'0..{len(classes) - 1} are classes'
        raise DataError(
            [
                f'--ignore-index {ignore_index}: {reason}; expected a value from {len(classes)} to 255 and no '
                '--reduce-zero-label'
            ]
        )
    found = find_semantic(root, train, val, img_suffix, label_suffix, skip_unpaired)
    val_folders = found.val_folders or found.train_folders
    parts = [(found.train_folders, found.train), (val_folders, found.val)]
    pairs = [
        (root / folders[0] / (stem + found.img_suffix), root / folders[1] / (stem + found.label_suffix))
        for folders, stems in parts
        for stem in stems
    ]
    checker = LabelCheck(classes, reduce_zero_label, ignore_index)
    looked_at = set(evenly(pairs, check))
    for image, label in pairs:
        if (image, label) in looked_at:
            checker.look(image, label)
        else:
            checker.look_at_size(image)
    sizes, notes = checker.finish()
    notes = [*found.notes, *notes]
    if checker.checked < len(pairs):
        notes.append(f'{checker.checked} of {len(pairs)} labels were looked at; --check 0 looks at all')
    split = make_split(found.train, found.val or None, most_select)
    colours = [list(map(int, colour)) for colour in palette] if palette else default_palette(len(classes))
    return SemanticData(
        root,
        found.train_folders,
        val_folders,
        found.img_suffix,
        found.label_suffix,
        classes,
        colours,
        split,
        sizes,
        reduce_zero_label,
        ignore_index,
        tuple(notes),
    )
