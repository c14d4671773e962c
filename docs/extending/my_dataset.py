"""A data set of one's own: images in ``images/<split>``, labels in ``labels/<split>``, and a part of the training
images held out for the search.
"""

from __future__ import annotations

import hashlib

from hyctas_mm.datasets.street_folders import HeldOutSegDataset
from hyctas_mm.registry import DATASETS


@DATASETS.register_module()
class MyDataset(HeldOutSegDataset):
    """Labels are 0 for background, 1 for a leaf, 2 for a flower, 255 where nobody knows."""

    METAINFO = dict(classes=('background', 'leaf', 'flower'), palette=[[60, 60, 60], [60, 160, 60], [200, 60, 160]])

    @staticmethod
    def is_select(stem: str) -> bool:
        """Holds out about a quarter of the plants; ``plant07_2`` is the second image of plant 7, and all images of a
        plant stay together.
        """
        plant = stem.split('_')[0]
        return hashlib.sha1(plant.encode()).digest()[0] % 4 == 0
