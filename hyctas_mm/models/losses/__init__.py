"""Losses."""

from hyctas_mm.models.losses.hardest_pixels import HardestPixelsCELoss
from hyctas_mm.models.losses.upsampled_cross_entropy import UpsampledCELoss

__all__ = ['HardestPixelsCELoss', 'UpsampledCELoss']
