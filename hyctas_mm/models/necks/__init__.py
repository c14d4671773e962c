"""Necks."""

from hyctas_mm.models.necks.dense_fusion import DenseFusionNeck

__all__ = ['DenseFusionNeck']
