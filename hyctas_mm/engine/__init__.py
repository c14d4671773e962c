"""Wiring into mmengine: hooks and loops."""

from hyctas_mm.engine.hooks import SampleArchHook
from hyctas_mm.engine.search_loop import NSGA2SearchLoop

__all__ = ['NSGA2SearchLoop', 'SampleArchHook']
