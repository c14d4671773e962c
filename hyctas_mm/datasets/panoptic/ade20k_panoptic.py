"""ADE20K as mmdet's ``tools/dataset_converters/ade20k2coco.py`` converts it."""

from __future__ import annotations

from mmdet.datasets import ADE20KPanopticDataset

from hyctas_mm.datasets.panoptic.panoptic_dataset import PanopticDataset
from hyctas_mm.registry import DATASETS


@DATASETS.register_module()
class ADE20KPanoptic(PanopticDataset):
    """ADE20K panoptic: 100 thing and 50 stuff classes, named as in mmdet.

    A JSON with other names (Mask2Former's converter) or with wrong ``isthing`` (mmdet's older converters attach names
    to the wrong ids) is refused; the first is read by ``PanopticDataset`` without ``metainfo``.
    """

    METAINFO = ADE20KPanopticDataset.METAINFO
