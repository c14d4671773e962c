"""Hooks.

Averaged weights (EMA) need none of ours: mmengine's ``EMAHook`` averages the parameters of the whole supernet, and
copies the statistics of its batch norms, which the search recalibrates anyway. Checkpoints have the average as
``state_dict``, which is what a search reads. An op is trained in a part of the steps only, so the average must reach
over more of them than for a fixed network; a momentum of about 10 / max_iters does.

    >>> averaging = dict(type='EMAHook', momentum=0.002, begin_iter=500)  # max_iters=4000
    >>> custom_hooks = [dict(type='SampleArchHook'), averaging]
"""

from hyctas_mm.engine.hooks.balanced_sample_arch_hook import BalancedSampleArchHook
from hyctas_mm.engine.hooks.channels_last_hook import ChannelsLastHook
from hyctas_mm.engine.hooks.fair_sample_arch_hook import FairSampleArchHook
from hyctas_mm.engine.hooks.gate_sparsity_hook import GateSparsityHook
from hyctas_mm.engine.hooks.learning_curve_hook import LearningCurveHook
from hyctas_mm.engine.hooks.pause_hook import PauseHook
from hyctas_mm.engine.hooks.processes_hook import ProcessesHook
from hyctas_mm.engine.hooks.progress_hook import ProgressHook
from hyctas_mm.engine.hooks.sample_arch_hook import SampleArchHook
from hyctas_mm.engine.hooks.sandwich_sample_arch_hook import SandwichSampleArchHook
from hyctas_mm.engine.hooks.scheduled_drop_path_hook import ScheduledDropPathHook

__all__ = [
    'BalancedSampleArchHook',
    'ChannelsLastHook',
    'FairSampleArchHook',
    'GateSparsityHook',
    'LearningCurveHook',
    'PauseHook',
    'ProcessesHook',
    'ProgressHook',
    'SampleArchHook',
    'SandwichSampleArchHook',
    'ScheduledDropPathHook',
]
