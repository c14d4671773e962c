"""Tiny panoptic data in the files of Cityscapes and COCO."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmdet.datasets import CocoPanopticDataset
from mmseg.datasets import CityscapesDataset

from hyctas_mm.datasets.panoptic.segment_ids import rgb_from_ids
from hyctas_mm.datasets.panoptic.toy_streets_panoptic import describe_segments
from hyctas_mm.datasets.toy.layouts import BLOCK, add_test_images, in_blocks, noise, write_image
from hyctas_mm.datasets.toy.streets import generate_toy_streets

SHAPES = ((64, 96), (96, 80), (48, 144))
_TRAIN_ID_OF = {7: 0, 8: 1, 11: 2, 17: 5, 20: 7, 21: 8, 23: 10, 24: 11, 25: 12, 26: 13, 33: 18}
"""Of the label ids that toy streets have."""


def write_panoptic(
    root: Path,
    images: str,
    pngs: str,
    target: str,
    things: Sequence[str],
    stuff: Sequence[str],
    count: int,
    prefix: str = '',
) -> None:
    """Images of 16x16 blocks in a COCO-panoptic data set: things of one block each, stuff of many, one block void.

    Args:
        root: Folder of the data set.
        images: Folder of the images in it.
        pngs: Folder of the PNGs of segments in it.
        target: The JSON in it.
        things: Names of thing classes.
        stuff: Names of stuff classes.
        count: How many images.
        prefix: What their names begin with.
    """
    rng = np.random.default_rng(0)
    names = (*things, *stuff)
    categories = [
        dict(id=3 * n + 1, name=name, isthing=int(n < len(things)), color=[n, 255 - n, 99])
        for n, name in enumerate(names)
    ]
    content: dict[str, Any] = dict(images=[], annotations=[], categories=categories)
    for number in range(count):
        stem, (height, width) = f'{prefix}{number + 9:012d}', SHAPES[number % 3]
        shape = (height // BLOCK, width // BLOCK)
        labels = rng.choice(len(stuff), size=shape[0] * shape[1]) % min(4, len(stuff)) + len(things)
        labels[:5] = rng.choice(len(things), size=5)
        ids = np.where(labels < len(things), 300 + np.arange(len(labels)), 70000 + labels)
        ids[-1] = 0
        segments = [
            dict(
                id=int(i),
                category_id=categories[labels[ids == i][0]]['id'],
                iscrowd=int(i == 304),
                bbox=[0, 0, BLOCK, BLOCK],
                area=BLOCK**2,
            )
            for i in np.unique(ids)
            if i
        ]
        write_image(root / images / f'{stem}.jpg', noise((height, width), rng))
        write_image(
            root / pngs / f'{stem}.png', rgb_from_ids(in_blocks(ids.reshape(shape).astype(np.int32)))[..., ::-1]
        )
        content['images'].append(dict(id=stem, file_name=f'{stem}.jpg', height=height, width=width))
        content['annotations'].append(dict(image_id=stem, file_name=f'{stem}.png', segments_info=segments))
    (root / target).write_text(json.dumps(content), encoding='utf-8')


def toy_coco_panoptic(root: Path, num_train: int = 6) -> None:
    """Images of COCO with its classes, two of them for validation."""
    meta = CocoPanopticDataset.METAINFO
    for split, count in (('train2017', num_train), ('val2017', 2)):
        name = f'annotations/panoptic_{split}'
        write_panoptic(root, split, name, f'{name}.json', meta['thing_classes'], meta['stuff_classes'], count)


def toy_cityscapes_panoptic(root: Path, num_train: int = 6, num_val: int = 2) -> None:
    """Toy streets of 64x128 as Cityscapes: labels, segments of training and validation, and images of the test."""
    generate_toy_streets(root, num_train=num_train, num_val=num_val, height=64, width=128)
    for split in ('train', 'val'):
        add_panoptic(root, split)
    add_test_images(root)


def add_panoptic(root: Path, split: str = 'val') -> None:
    """Adds to toy streets what cityscapesscripts' ``createPanopticImgs.py --use-train-id`` writes."""
    categories = [
        dict(id=train_id, name=name, isthing=int(train_id >= 11), color=[train_id] * 3, supercategory='any')
        for train_id, name in enumerate(CityscapesDataset.METAINFO['classes'])
    ]
    name = f'cityscapes_panoptic_{split}_trainId'
    images, annotations = [], []
    for path in sorted((root / 'gtFine' / split).glob('*/*_instanceIds.png')):
        ids = np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)).astype(np.int32)
        ids[ids == 1] = 0  # the ego vehicle is not evaluated
        segments = [dict(raw, category_id=_TRAIN_ID_OF[raw['category_id']]) for raw in describe_segments(ids)]
        png, image = (path.name.replace('instanceIds.png', suffix) for suffix in ('panoptic.png', 'leftImg8bit.png'))
        stem = path.name.removesuffix('_gtFine_instanceIds.png')
        images.append(dict(id=stem, width=ids.shape[1], height=ids.shape[0], file_name=image))
        annotations.append(dict(image_id=stem, file_name=png, segments_info=segments))
        write_image(root / 'gtFine' / name / png, rgb_from_ids(ids)[..., ::-1])
    content = dict(images=images, annotations=annotations, categories=categories)
    (root / 'gtFine' / f'{name}.json').write_text(json.dumps(content), encoding='utf-8')
