"""Wiring into mmengine: hooks and loops."""

from hyctas_mm.engine.hooks import SampleArchHook

__all__ = ['SampleArchHook']
