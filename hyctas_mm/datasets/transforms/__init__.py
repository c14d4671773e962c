"""Pipeline steps."""

from hyctas_mm.datasets.transforms.cached import Cached
from hyctas_mm.datasets.transforms.check_labels import CheckLabels
from hyctas_mm.datasets.transforms.lean import LeanPackSegInputs, LeanPhotoMetricDistortion, LeanRandomCrop

__all__ = ['Cached', 'CheckLabels', 'LeanPackSegInputs', 'LeanPhotoMetricDistortion', 'LeanRandomCrop']
