"""Hooks."""

from hyctas_mm.engine.hooks.progress_hook import ProgressHook
from hyctas_mm.engine.hooks.sample_arch_hook import SampleArchHook
from hyctas_mm.engine.hooks.scheduled_drop_path_hook import ScheduledDropPathHook

__all__ = ['ProgressHook', 'SampleArchHook', 'ScheduledDropPathHook']
