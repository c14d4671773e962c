"""Decode heads."""

from hyctas_mm.models.decode_heads.hyctas_head import HyCTASHead

__all__ = ['HyCTASHead']
