"""Decode heads."""

from hyctas_mm.models.decode_heads.hyctas_head import HyCTASHead
from hyctas_mm.models.decode_heads.light_head import LightHead
from hyctas_mm.models.decode_heads.linear_segformer_head import LinearSegformerHead

__all__ = ['HyCTASHead', 'LightHead', 'LinearSegformerHead']
