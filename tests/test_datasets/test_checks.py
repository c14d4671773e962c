from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from hyctas_mm.datasets.checks import check_images, check_not_empty

STEPS = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    """The config of an mmseg dataset of one image."""
    for folder, name in (('images', 'a.jpg'), ('labels', 'a.png')):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / name), np.zeros((4, 4), np.uint8))
    prefix = dict(img_path='images', seg_map_path='labels')
    return dict(
        type='BaseSegDataset',
        data_root=str(tmp_path),
        data_prefix=prefix,
        metainfo=dict(classes=('a',)),
        pipeline=STEPS,
    )


def test_an_empty_dataset_is_named() -> None:
    check_not_empty([1], 'train_dataloader')
    with pytest.raises(FileNotFoundError, match='train_dataloader: no image in'):
        check_not_empty([], 'train_dataloader')


def test_folders_are_looked_at_before_anything_is_built(settings: dict[str, Any], tmp_path: Path) -> None:
    check_images(settings, 'x')
    for wrong, message in (
        (
            dict(data_root=str(tmp_path / 'nowhere')),
            r'x: no folder .*nowhere/images; set data_root \(--data-root DIR\)',
        ),
        (dict(img_suffix='.webp'), r'x: no \*.webp image in .*images; set img_suffix'),
        (dict(ann_file='val.txt'), 'x: no file .*val.txt; set ann_file'),
        (
            dict(seg_map_suffix='_label.png'),
            'x: image .*a.jpg has no label .*a_label.png; add it, or set seg_map_suffix',
        ),
    ):
        with pytest.raises(FileNotFoundError, match=message):
            check_images({**settings, **wrong}, 'x')
    for indices in (2, [0, 1]):
        with pytest.raises(ValueError, match='x: indices need 2 images, but .*images has 1; add'):
            check_images({**settings, 'indices': indices}, 'x')
    check_images({**settings, 'indices': [0]}, 'x')
    check_images({**settings, 'seg_map_suffix': '_label.png', 'pipeline': STEPS[:1]}, 'x')  # labels are not read


def test_wrapped_datasets_are_looked_into(settings: dict[str, Any]) -> None:
    empty = settings | dict(img_suffix='.webp')
    for wrapper in (
        dict(type='RepeatDataset', dataset=empty, times=2),
        dict(type='ConcatDataset', datasets=[settings, empty]),
    ):
        with pytest.raises(FileNotFoundError, match='no \\*.webp image'):
            check_images(wrapper, 'x')
    check_images(dict(type='ConcatDataset', datasets=[settings, settings]), 'x')
