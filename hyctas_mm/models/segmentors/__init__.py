"""Segmentors."""

from hyctas_mm.models.segmentors.sandwich_segmentor import SandwichSegmentor

__all__ = ['SandwichSegmentor']
