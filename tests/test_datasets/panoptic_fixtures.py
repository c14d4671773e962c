"""Small panoptic data made on the spot: scenes of rectangles, and data sets in the file format of COCO."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from hyctas_mm.datasets.panoptic.segment_ids import rgb_from_ids
from hyctas_mm.datasets.panoptic.targets import TargetMaps

Segment = dict[str, Any]

# Not in order of their ids, stuff before things, ids with gaps: what a loader must not rely on.
CATEGORIES = [
    dict(id=90, name='sky', isthing=0, color=[1, 2, 3]),
    dict(id=7, name='cat', isthing=1, color=[4, 5, 6]),
    dict(id=12, name='grass', isthing=0, color=[7, 8, 9]),
    dict(id=3, name='dog', isthing=1, color=[10, 11, 12]),
]
CLASSES = ('cat', 'dog', 'sky', 'grass')


def segment(ident: int, category: int, is_thing: bool = True, iscrowd: bool = False) -> Segment:
    """A segment as ``PanopticDataset`` describes it."""
    return dict(id=ident, category=category, is_thing=is_thing, iscrowd=iscrowd)


def random_scene(rng: np.random.Generator, hw: tuple[int, int], things: int) -> tuple[NDArray[np.int32], list[Segment]]:
    """Rectangles of 2 thing classes over 2 stuff classes with some void and perhaps a crowd: ids (H, W) and the
    segments that are visible.
    """
    ids = np.zeros(hw, np.int32)
    ids[1:, : hw[1] // 2], ids[1:, hw[1] // 2 :] = 255, 256
    known = {255: segment(255, 2, False), 256: segment(256, 3, False)}
    for _ in range(things):
        ident = int(rng.integers(257, 2**24))
        top, left = rng.integers(0, hw)
        ids[top : top + rng.integers(1, 12), left : left + rng.integers(1, 12)] = ident
        known[ident] = segment(ident, int(rng.integers(2)), iscrowd=bool(rng.random() < 0.1))
    return ids, [known[ident] for ident in np.unique(ids).tolist() if ident]


def write_coco(
    root: Path, maps: Sequence[NDArray[np.int32]], infos: Sequence[list[Segment]], split: str = 'val'
) -> dict[str, Any]:
    """Writes images, PNGs and JSON, the segments' categories by the names in CLASSES; returns the JSON's content."""
    id_of_name = {category['name']: category['id'] for category in CATEGORIES}
    images, annotations = [], []
    for folder in ('images', f'panoptic_{split}'):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for index, (ids, segments) in enumerate(zip(maps, infos)):
        height, width = ids.shape
        images.append(dict(id=index, file_name=f'{index:04d}.jpg', height=height, width=width))
        raw = [
            dict(
                id=s['id'],
                category_id=id_of_name[CLASSES[s['category']]],
                iscrowd=int(s['iscrowd']),
                bbox=[0, 0, 2, 2],
                area=4,
            )
            for s in segments
        ]
        annotations.append(dict(image_id=index, file_name=f'map_{index}.png', segments_info=raw))
        # grey, as some of COCO are
        cv2.imwrite(str(root / 'images' / f'{index:04d}.jpg'), np.full((height, width), 40 * index, np.uint8))
        cv2.imwrite(str(root / f'panoptic_{split}' / f'map_{index}.png'), rgb_from_ids(ids)[..., ::-1])
    content = dict(images=images, annotations=annotations, categories=CATEGORIES)
    (root / f'panoptic_{split}.json').write_text(json.dumps(content))
    return content


def perfect_logits(maps: TargetMaps, num_classes: int) -> torch.Tensor:
    """Logits (C, H, W) that are right wherever there is a label; void gets the last class."""
    labels = np.where(maps.semantic == 255, num_classes - 1, maps.semantic)
    logits = np.zeros((num_classes, *labels.shape), np.float32)
    np.put_along_axis(logits, labels[None], 20, axis=0)
    return torch.from_numpy(logits)
