"""Hooks."""

from hyctas_mm.engine.hooks.sample_arch_hook import SampleArchHook

__all__ = ['SampleArchHook']
