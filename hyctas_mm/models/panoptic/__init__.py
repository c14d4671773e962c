"""Panoptic segmentation after Panoptic-DeepLab, for mmdet."""

from hyctas_mm.models.panoptic.deeplab_head import PanopticDeepLabHead
from hyctas_mm.models.panoptic.panoptic_deeplab import PanopticDeepLab
from hyctas_mm.models.panoptic.panoptic_head import HyCTASPanopticHead

__all__ = ['HyCTASPanopticHead', 'PanopticDeepLab', 'PanopticDeepLabHead']
