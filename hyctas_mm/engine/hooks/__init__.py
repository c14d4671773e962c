"""Hooks."""

from hyctas_mm.engine.hooks.progress_hook import ProgressHook
from hyctas_mm.engine.hooks.sample_arch_hook import SampleArchHook

__all__ = ['ProgressHook', 'SampleArchHook']
