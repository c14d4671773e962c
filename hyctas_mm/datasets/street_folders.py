"""Small street-scene sets stored as two folders of equally named files: IDD-Lite and CamVid.

Both hold part of their training images out for the search: a search that scored candidates on the images that later
judge the result would overstate it. The part is chosen by drive, because neighbouring frames of one drive are nearly
equal.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal

from mmseg.datasets import BaseSegDataset

from hyctas_mm.errors import BadValue, NoSuchFile
from hyctas_mm.registry import DATASETS

Part = Literal['all', 'fit', 'select']


class HeldOutSegDataset(BaseSegDataset):
    """``images/<split>/*.jpg`` with ``labels/<split>/*.png`` and a part held out for selection.

    Args:
        part: ``'all'`` images of the folder, those to ``'fit'`` weights on, or those to ``'select'`` architectures on.
        **kwargs: See mmseg's ``BaseSegDataset``.

    Raises:
        ValueError: For an unknown part.
        FileNotFoundError: If a folder is missing or holds no image, or an image has no label; the path is named.
    """

    def __init__(
        self, part: Part = 'all', img_suffix: str = '.jpg', seg_map_suffix: str = '.png', **kwargs: Any
    ) -> None:
        if part not in ('all', 'fit', 'select'):
            raise BadValue(f"{type(self).__name__}: part={part!r}; expected 'all', 'fit' or 'select'")
        self.part = part
        super().__init__(img_suffix=img_suffix, seg_map_suffix=seg_map_suffix, reduce_zero_label=False, **kwargs)

    @staticmethod
    def is_select(stem: str) -> bool:
        """Whether the image of this file name belongs to the part for selection."""
        raise NotImplementedError

    def load_data_list(self) -> list[dict[str, Any]]:
        folder = Path(self.data_prefix['img_path'])
        if not folder.is_dir():
            raise NoSuchFile(
                f'no folder {folder}; set data_root (--data-root DIR) to the folder that holds images/ and labels/'
            )
        samples = sorted(super().load_data_list(), key=lambda s: s['img_path'])
        if self.part != 'all':
            samples = [s for s in samples if self.is_select(Path(s['img_path']).stem) == (self.part == 'select')]
        if not samples:
            raise NoSuchFile(
                f'no *{self.img_suffix} image of part {self.part!r} in {folder}; give the whole data set, or set '
                "part='all'"
            )
        for sample in samples:
            if not Path(sample['seg_map_path']).is_file():
                raise NoSuchFile(
                    f'image {sample["img_path"]} has no label {sample["seg_map_path"]}; add the label, or remove '
                    'the image'
                )
        return samples


@DATASETS.register_module()
class IDDLiteDataset(HeldOutSegDataset):
    """IDD-Lite: Indian street scenes, 320x227, 7 classes, 255 is void.

    About a tenth of the drives is held out for selection.
    """

    METAINFO = dict(
        classes=('drivable', 'non-drivable', 'living-things', 'vehicles', 'roadside-objects', 'far-objects', 'sky'),
        palette=[
            [128, 64, 128],
            [244, 35, 232],
            [220, 20, 60],
            [0, 0, 142],
            [190, 153, 153],
            [70, 70, 70],
            [70, 130, 180],
        ],
    )

    @staticmethod
    def is_select(stem: str) -> bool:
        drive = stem.split('_')[0]
        return hashlib.sha1(drive.encode()).digest()[0] % 10 == 0


@DATASETS.register_module()
class CamVidDataset(HeldOutSegDataset):
    """CamVid: Cambridge street scenes, 480x360, 11 classes, 255 is void. Clip 0006R0 is held out for selection."""

    METAINFO = dict(
        classes=(
            'Sky',
            'Building',
            'Pole',
            'Road',
            'Pavement',
            'Tree',
            'SignSymbol',
            'Fence',
            'Car',
            'Pedestrian',
            'Bicyclist',
        ),
        palette=[
            [70, 130, 180],
            [70, 70, 70],
            [153, 153, 153],
            [128, 64, 128],
            [244, 35, 232],
            [107, 142, 35],
            [220, 220, 0],
            [190, 153, 153],
            [0, 0, 142],
            [220, 20, 60],
            [119, 11, 32],
        ],
    )

    @staticmethod
    def is_select(stem: str) -> bool:
        return stem.startswith('0006R0')
