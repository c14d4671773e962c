"""Finds images and label images in a folder: which sub-folders, which suffixes, which belong together."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hyctas_mm.wizard.data import DataError

IMAGE_FOLDERS = ('images', 'leftImg8bit', 'img_dir', 'imgs', 'img', 'image', 'JPEGImages')
LABEL_FOLDERS = (
    'labels',
    'annotations',
    'gtFine',
    'ann_dir',
    'masks',
    'mask',
    'label',
    'annotation',
    'gt',
    'SegmentationClass',
)
SPLITS = dict(train=('train', 'training'), val=('val', 'validation', 'valid'))
IMAGE_TYPES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')
LABEL_TYPES = ('.png', '.bmp', '.tif', '.tiff', '.gif')
IMAGE_ENDINGS = ('', '_leftImg8bit', '_rgb', '_image', '_img', '_sat')
LABEL_ENDINGS = (
    '',
    '_gtFine_labelTrainIds',
    '_labelTrainIds',
    '_gtFine_labelIds',
    '_labelIds',
    '_label',
    '_labels',
    '_mask',
    '_gt',
    '_seg',
    '_L',
)
Folders = tuple[str, str]


@dataclass(frozen=True)
class Found:
    """Pairs of images and labels.

    Attributes:
        train_folders: Folders of training images and labels, relative to the root.
        val_folders: Those of the validation images, None if there are none.
        img_suffix: What images have behind the common stem.
        label_suffix: What labels have behind it.
        train: Stems of the training pairs.
        val: Stems of the validation pairs.
        notes: What a person should know.
    """

    train_folders: Folders
    val_folders: Folders | None
    img_suffix: str
    label_suffix: str
    train: tuple[str, ...]
    val: tuple[str, ...]
    notes: tuple[str, ...]


def find_semantic(
    root: Path,
    train: Folders | None = None,
    val: Folders | None = None,
    img_suffix: str | None = None,
    label_suffix: str | None = None,
    skip_unpaired: bool = False,
) -> Found:
    """Looks for pairs of images and labels.

    Args:
        root: The folder of the data.
        train: Folders of training images and labels, relative to ``root``, where the usual names do not do.
        val: Those of the validation images.
        img_suffix: Of all images, in place of the one that fits best.
        label_suffix: Of all labels.
        skip_unpaired: Whether to leave out images without a label.

    Raises:
        DataError: If there is nothing that looks like images with labels, or images have no label; paths and options
            that help are named.
    """
    if not root.is_dir():
        raise DataError([f'no folder {root}; give --data-root the folder that holds images and labels'])
    choices = [(train, val)] if train else list(_layouts(root))
    fitting = [
        (*_suffixes(root, folders, img_suffix, label_suffix), folders, val or beside) for folders, beside in choices
    ]
    fitting = [choice for choice in fitting if choice[0]]
    if not fitting:
        raise DataError([_nothing(root, train)])
    # the first of those with most pairs
    _, image_end, label_end, folders, val_folders = max(fitting, key=lambda choice: choice[0])
    notes: list[str] = []
    pairs = _pairs(root, folders, image_end, label_end, skip_unpaired, notes)
    val_pairs = _pairs(root, val_folders, image_end, label_end, skip_unpaired, notes) if val_folders else []
    return Found(
        folders, val_folders if val_pairs else None, image_end, label_end, tuple(pairs), tuple(val_pairs), tuple(notes)
    )


def _layouts(root: Path) -> Iterator[tuple[Folders, Folders | None]]:
    """Folders of the usual names that are there, with those of the validation images beside them."""
    for images, labels in itertools.product(IMAGE_FOLDERS, LABEL_FOLDERS):
        splitted = False
        for pattern in ('{folder}/{split}', '{split}/{folder}'):
            found = [
                next(
                    (
                        pair
                        for pair in (_fill(pattern, split, images, labels) for split in names)
                        if all((root / f).is_dir() for f in pair)
                    ),
                    None,
                )
                for names in SPLITS.values()
            ]
            if found[0]:
                splitted = True
                yield found[0], found[1]
        if not splitted and (root / images).is_dir() and (root / labels).is_dir():
            yield (images, labels), None


def _fill(pattern: str, split: str, images: str, labels: str) -> Folders:
    return pattern.format(folder=images, split=split), pattern.format(folder=labels, split=split)


def _suffixes(root: Path, folders: Folders, img_suffix: str | None, label_suffix: str | None) -> tuple[int, str, str]:
    """The suffixes that make most pairs, and their number."""
    images, labels = (_files(root / folder) for folder in folders)
    image_ends = [img_suffix] if img_suffix else _ends(images, IMAGE_ENDINGS, IMAGE_TYPES)
    label_ends = [label_suffix] if label_suffix else _ends(labels, LABEL_ENDINGS, LABEL_TYPES)
    image_stems = {end: _stems(images, end) for end in image_ends}
    label_stems = {end: _stems(labels, end) for end in label_ends}
    same = folders[0] == folders[1]
    counts = [
        (len(image_stems[a] & label_stems[b]), a, b)
        for a, b in itertools.product(image_ends, label_ends)
        if not (same and a == b)
    ]
    return max(counts, key=lambda count: count[0], default=(0, '', ''))


def _files(folder: Path) -> list[str]:
    """All files below a folder, relative to it, without hidden ones."""
    found = []
    for place, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith('.')]
        below = os.path.relpath(place, folder)
        found += [name if below == '.' else f'{below}/{name}' for name in names if not name.startswith('.')]
    return sorted(found)


def _ends(files: Sequence[str], endings: Sequence[str], types: Sequence[str]) -> list[str]:
    """Suffixes of these endings and of the file types that are there, the commonest type first."""
    there = Counter(os.path.splitext(name)[1] for name in files)
    return [ending + kind for ending in endings for kind, _ in there.most_common() if kind.lower() in types]


def _stems(files: Sequence[str], end: str) -> set[str]:
    return {name[: -len(end)] for name in files if name.endswith(end)}


def _pairs(
    root: Path, folders: Folders, img_suffix: str, label_suffix: str, skip_unpaired: bool, notes: list[str]
) -> list[str]:
    images, labels = (_files(root / folder) for folder in folders)
    image_stems, label_stems = _stems(images, img_suffix), _stems(labels, label_suffix)
    if folders[0] == folders[1]:
        image_stems = {
            stem for stem in image_stems if f'{stem}{img_suffix}' not in {f'{s}{label_suffix}' for s in label_stems}
        }
    alone = sorted(image_stems - label_stems)
    if alone and not skip_unpaired:
        image, label = root / folders[0] / (alone[0] + img_suffix), root / folders[1] / (alone[0] + label_suffix)
        expected = f'e.g. {image} (expected {label})'
        raise DataError(
            [
                f'{len(alone)} of {len(image_stems)} images have no label, {expected}; add them, or leave them out '
                'with --skip-unpaired'
            ]
        )
    if alone:
        notes.append(f'{len(alone)} images of {folders[0]} have no label and are left out')
    extra = len(label_stems - image_stems)
    if extra:
        notes.append(f'{extra} labels of {folders[1]} have no image')
    others = sum(name.lower().endswith(IMAGE_TYPES) and not name.endswith(img_suffix) for name in images)
    if others and folders[0] != folders[1]:
        notes.append(
            f'{others} images of {folders[0]} do not end in {img_suffix} and are left out: a data set has one suffix'
        )
    return sorted(image_stems & label_stems)


def _nothing(root: Path, train: Folders | None) -> str:
    if train:
        return (
            f'no pair of an image in {root / train[0]} and a label in {root / train[1]} with the same stem; '
            'check the folders, or give --img-suffix and --label-suffix'
        )
    there = ', '.join(sorted(p.name + '/' * p.is_dir() for p in root.iterdir())[:12]) or 'nothing'
    return (
        f'{root} holds {there}; expected images and labels as images/train and labels/train (or annotations/, '
        'leftImg8bit/ and gtFine/, '
        'img_dir/ and ann_dir/, train/images ...): name other folders with --train IMAGES LABELS, relative to it'
    )
