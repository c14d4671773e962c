"""Pipeline steps."""

from hyctas_mm.datasets.transforms.check_labels import CheckLabels

__all__ = ['CheckLabels']
