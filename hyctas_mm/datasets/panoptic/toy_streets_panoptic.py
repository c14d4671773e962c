"""Toy streets in COCO-panoptic form."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hyctas_mm.datasets.panoptic.segment_ids import rgb_from_ids
from hyctas_mm.datasets.toy.scene import DRAWN_LABEL_IDS, THING_LABEL_IDS
from hyctas_mm.datasets.toy.streets import MANIFEST_NAME, generate_toy_streets

_NAMES = {
    7: 'road',
    8: 'sidewalk',
    11: 'building',
    17: 'pole',
    20: 'traffic sign',
    21: 'vegetation',
    23: 'sky',
    24: 'person',
    25: 'rider',
    26: 'car',
    33: 'bicycle',
}
_COLOURS = {
    7: (128, 64, 128),
    8: (244, 35, 232),
    11: (70, 70, 70),
    17: (153, 153, 153),
    20: (220, 220, 0),
    21: (107, 142, 35),
    23: (70, 130, 180),
    24: (220, 20, 60),
    25: (255, 0, 0),
    26: (0, 0, 142),
    33: (119, 11, 32),
}
CATEGORIES = [
    dict(id=label, name=_NAMES[label], isthing=int(label in THING_LABEL_IDS), color=list(_COLOURS[label]))
    for label in sorted(DRAWN_LABEL_IDS)
]


def toy_streets_panoptic(root: str | Path, **options: Any) -> Path:
    """Writes toy streets for ``PanopticDataset``: the images of ``generate_toy_streets``, PNGs of segments and a
    JSON for each split.

    Layout: images in ``leftImg8bit/<split>/<city>/``, PNGs in ``panoptic_<split>/``, segments in
    ``panoptic_<split>.json``. Instances are those the generator drew, so cars side by side are two segments, and the
    parts of a car behind a pole are one. Category ids are Cityscapes' label ids, segment ids are its instance ids. A
    set that is there already is kept.

    Args:
        root: Folder to write to.
        **options: See :func:`generate_toy_streets`.

    Returns:
        ``root`` as a path.

    Example:
        >>> root = toy_streets_panoptic('data/toy', num_train=24, num_val=8)
        >>> PanopticDataset(
        ...     data_root=str(root), ann_file='panoptic_val.json', data_prefix=dict(img='leftImg8bit/val',
        ...     seg='panoptic_val'), pipeline=[])
    """
    root = generate_toy_streets(root, **options)
    made_with = json.loads((root / MANIFEST_NAME).read_text(encoding='utf-8'))
    for split in ('train', 'val'):
        target = root / f'panoptic_{split}.json'
        if not target.exists() or json.loads(target.read_text(encoding='utf-8'))['info'] != made_with:
            _write_split(root, split, target, made_with)
    return root


def _write_split(root: Path, split: str, target: Path, info: dict[str, Any]) -> None:
    folder = root / f'panoptic_{split}'
    folder.mkdir(exist_ok=True)
    # the JSON is written last, so a run that was broken off is made anew
    for leftover in (
        target,
        *folder.glob('*.png'),
    ):
        leftover.unlink(missing_ok=True)
    images, annotations = [], []
    for path in sorted((root / 'gtFine' / split).glob('*/*_instanceIds.png')):
        ids = np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)).astype(np.int32)
        ids[~np.isin(np.where(ids >= 1000, ids // 1000, ids), DRAWN_LABEL_IDS)] = 0
        stem = path.name.removesuffix('_gtFine_instanceIds.png')
        height, width = ids.shape
        images.append(dict(id=stem, file_name=f'{path.parent.name}/{stem}_leftImg8bit.png', height=height, width=width))
        annotations.append(dict(image_id=stem, file_name=f'{stem}.png', segments_info=describe_segments(ids)))
        cv2.imwrite(str(folder / f'{stem}.png'), rgb_from_ids(ids)[..., ::-1])
    scratch = target.with_name(f'{target.name}.tmp')
    scratch.write_text(
        json.dumps(dict(info=info, images=images, annotations=annotations, categories=CATEGORIES)), encoding='utf-8'
    )
    os.replace(scratch, target)


def describe_segments(ids: NDArray[np.int32]) -> list[dict[str, Any]]:
    """Describes the segments of a map (H, W) of Cityscapes instance ids as COCO-panoptic ``segments_info``."""
    segments = []
    for ident in (int(value) for value in np.unique(ids) if value):
        rows, columns = np.nonzero(ids == ident)
        left, top = int(columns.min()), int(rows.min())
        box = [left, top, int(columns.max()) - left + 1, int(rows.max()) - top + 1]
        label = ident // 1000 if ident >= 1000 else ident
        segments.append(dict(id=ident, category_id=label, area=len(rows), bbox=box, iscrowd=0))
    return segments
