"""What networks see."""

from hyctas_mm.datasets.street_folders import CamVidDataset, IDDLiteDataset
from hyctas_mm.datasets.transforms import CheckLabels

__all__ = ['CamVidDataset', 'CheckLabels', 'IDDLiteDataset']
