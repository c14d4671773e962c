"""Cityscapes as cityscapesscripts' ``createPanopticImgs.py`` converts it."""

from __future__ import annotations

import os
from typing import Any

from hyctas_mm.datasets.panoptic.panoptic_dataset import PanopticDataset
from hyctas_mm.errors import BadValue
from hyctas_mm.registry import DATASETS

_IMAGE_SUFFIX = '_gtFine_leftImg8bit.png'


@DATASETS.register_module()
class CityscapesPanoptic(PanopticDataset):
    """Cityscapes panoptic: 8 thing and 11 stuff classes.

    Reads ``gtFine/cityscapes_panoptic_<split>_trainId.json`` (or the one without ``_trainId``: categories are matched
    by name) with the PNGs in the folder of the same name. Labels are not train ids: things come first. The JSON's image
    names are those of no file and are mended: ``<city>_<seq>_<frame>_gtFine_leftImg8bit.png`` lies at
    ``<city>/<city>_<seq>_<frame>_leftImg8bit.png``.

    Example:
        >>> CityscapesPanoptic(
        ...     data_root='data/cityscapes', ann_file='gtFine/cityscapes_panoptic_train_trainId.json',
        ...     data_prefix=dict(img='leftImg8bit/train', seg='gtFine/cityscapes_panoptic_train_trainId'), pipeline=[])
    """

    METAINFO = dict(
        classes=(
            'person',
            'rider',
            'car',
            'truck',
            'bus',
            'train',
            'motorcycle',
            'bicycle',
            'road',
            'sidewalk',
            'building',
            'wall',
            'fence',
            'pole',
            'traffic light',
            'traffic sign',
            'vegetation',
            'terrain',
            'sky',
        ),
        thing_classes=('person', 'rider', 'car', 'truck', 'bus', 'train', 'motorcycle', 'bicycle'),
        palette=[
            (220, 20, 60),
            (255, 0, 0),
            (0, 0, 142),
            (0, 0, 70),
            (0, 60, 100),
            (0, 80, 100),
            (0, 0, 230),
            (119, 11, 32),
            (128, 64, 128),
            (244, 35, 232),
            (70, 70, 70),
            (102, 102, 156),
            (190, 153, 153),
            (153, 153, 153),
            (250, 170, 30),
            (220, 220, 0),
            (107, 142, 35),
            (152, 251, 152),
            (70, 130, 180),
        ],
    )

    def image_path(self, image: dict[str, Any]) -> str:
        name = image['file_name']
        if not name.endswith(_IMAGE_SUFFIX):
            raise BadValue(
                f'{self.ann_file}: image file_name {name!r} does not end in {_IMAGE_SUFFIX!r}; write the file with '
                'createPanopticImgs.py'
            )
        city = name.split('_', 1)[0]
        return os.path.join(self.data_prefix['img'] or '', city, name.removesuffix(_IMAGE_SUFFIX) + '_leftImg8bit.png')
