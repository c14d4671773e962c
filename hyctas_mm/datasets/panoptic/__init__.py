"""Panoptic data: COCO-panoptic data sets, loading, targets and packing. Needs mmdet."""

from hyctas_mm.datasets.panoptic.ade20k_panoptic import ADE20KPanoptic
from hyctas_mm.datasets.panoptic.cityscapes_panoptic import CityscapesPanoptic
from hyctas_mm.datasets.panoptic.load_panoptic import LoadPanoptic
from hyctas_mm.datasets.panoptic.pack_panoptic_inputs import PackPanopticInputs
from hyctas_mm.datasets.panoptic.panoptic_dataset import PanopticDataset
from hyctas_mm.datasets.panoptic.panoptic_instances import PanopticInstances
from hyctas_mm.datasets.panoptic.panoptic_targets import PanopticTargets
from hyctas_mm.datasets.panoptic.targets import TargetMaps, build_targets
from hyctas_mm.datasets.panoptic.toy_streets_panoptic import toy_streets_panoptic

__all__ = [
    'ADE20KPanoptic',
    'CityscapesPanoptic',
    'LoadPanoptic',
    'PackPanopticInputs',
    'PanopticDataset',
    'PanopticInstances',
    'PanopticTargets',
    'TargetMaps',
    'build_targets',
    'toy_streets_panoptic',
]
