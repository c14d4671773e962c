"""What networks see."""

from hyctas_mm.datasets.street_folders import CamVidDataset, IDDLiteDataset
from hyctas_mm.datasets.transforms import Cached, CheckLabels, LeanPhotoMetricDistortion, LeanRandomCrop

__all__ = [
    'Cached',
    'CamVidDataset',
    'CheckLabels',
    'IDDLiteDataset',
    'LeanPhotoMetricDistortion',
    'LeanRandomCrop',
]
