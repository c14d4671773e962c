"""Networks measured as commands do it, whosever they are."""

from hyctas_mm.measuring.network import Network, count, from_config, input_size, published
from hyctas_mm.measuring.timing import measure, prepare, read_targets, time_all, time_by_target, training_memory

__all__ = [
    'Network',
    'count',
    'from_config',
    'input_size',
    'measure',
    'prepare',
    'published',
    'read_targets',
    'time_all',
    'time_by_target',
    'training_memory',
]
