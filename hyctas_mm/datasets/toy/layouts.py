"""Tiny images and labels of 16x16 blocks in the folders that mmseg names for Cityscapes, ADE20K and COCO-Stuff."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

SHAPES = ((64, 96), (96, 80), (32, 192))
"""Height and width of the images of ADE20K and COCO, which differ in size; the last is as long as a panorama."""
# Label values in the files: void and the last class first, so that small images hold them.
CITYSCAPES = [255, *reversed(range(19))]
ADE20K = [0, *reversed(range(1, 151))]
COCO = [255, *reversed(range(171))]
BLOCK = 16


def in_blocks(values: NDArray[np.generic]) -> NDArray[np.generic]:
    """Repeats each element of (H, W) or (H, W, C) to a block of 16x16."""
    return values.repeat(BLOCK, 0).repeat(BLOCK, 1)


def write_image(path: Path, pixels: NDArray[np.generic]) -> None:
    """Writes (H, W) or (H, W, 3) in BGR as bytes, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels.astype(np.uint8))


def noise(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.generic]:
    """An image of random blocks, as many as fit into (height, width)."""
    return in_blocks(rng.integers(0, 256, (shape[0] // BLOCK, shape[1] // BLOCK, 3)))


def _write_pair(
    image: Path, label: Path, values: Sequence[int], shape: tuple[int, int], rng: np.random.Generator
) -> None:
    """An image and a label; the labels are the first of ``values``, as many as there are blocks."""
    height, width = shape[0] // BLOCK, shape[1] // BLOCK
    blocks = rng.permutation(np.resize(values, height * width)).reshape(height, width)
    write_image(image, noise(shape, rng))
    write_image(label, in_blocks(blocks))


def toy_cityscapes(root: Path) -> None:
    """Six training and two validation images of 64x128, and these two again as images of the test."""
    rng = np.random.default_rng(0)
    for split, city, count in (('train', 'aachen', 4), ('train', 'bochum', 2), ('val', 'munster', 2)):
        for n in range(count):
            stem = f'{city}_{n:06d}_000019'
            image = root / 'leftImg8bit' / split / city / f'{stem}_leftImg8bit.png'
            label = root / 'gtFine' / split / city / f'{stem}_gtFine_labelTrainIds.png'
            _write_pair(image, label, CITYSCAPES, (64, 128), rng)
    add_test_images(root)


def add_test_images(root: Path) -> None:
    """Makes the validation images of a Cityscapes those of its test, without labels."""
    shutil.copytree(root / 'leftImg8bit' / 'val', root / 'leftImg8bit' / 'test', dirs_exist_ok=True)


def toy_ade20k(root: Path, num_train: int = 6) -> None:
    """Images of ADE20K, two of them for validation."""
    rng = np.random.default_rng(0)
    for split, tag, count in (('training', 'train', num_train), ('validation', 'val', 2)):
        for n in range(count):
            stem = f'ADE_{tag}_{n + 1:08d}'
            image, label = (root / kind / split / stem for kind in ('images', 'annotations'))
            _write_pair(image.with_suffix('.jpg'), label.with_suffix('.png'), ADE20K, SHAPES[n % 3], rng)


def toy_coco_stuff(root: Path) -> None:
    """Six training and two validation images of COCO-Stuff, its first labels beside those of the converter."""
    rng = np.random.default_rng(0)
    for split, first, count in (('train2017', 9, 6), ('val2017', 139, 2)):
        for n in range(count):
            stem, shape = f'{first + n:012d}', SHAPES[n % 3]
            labels = root / 'annotations' / split
            _write_pair(root / 'images' / split / f'{stem}.jpg', labels / f'{stem}_labelTrainIds.png', COCO, shape, rng)
            # the converter leaves the first labels where they are
            write_image(labels / f'{stem}.png', np.full(shape, 200))
