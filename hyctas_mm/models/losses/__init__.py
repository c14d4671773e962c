"""Losses."""

from hyctas_mm.models.losses.hardest_pixels import HardestPixelsCELoss

__all__ = ['HardestPixelsCELoss']
