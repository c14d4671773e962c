"""Networks measured as commands do it, whosever they are."""

from hyctas_mm.measuring.network import Network, count, from_config, input_size, published
from hyctas_mm.measuring.timing import measure, prepare, time_all, time_in_detail, training_memory

__all__ = [
    'Network',
    'count',
    'from_config',
    'input_size',
    'measure',
    'prepare',
    'published',
    'time_all',
    'time_in_detail',
    'training_memory',
]
