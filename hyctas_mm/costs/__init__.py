"""What a network costs. Works on any module; knows nothing of ours but the ``cost_unit`` mark."""

from hyctas_mm.costs.blocks import Blocks, Counts, count
from hyctas_mm.costs.fitted_table import FitCheck, FittedTable, Sample, choose
from hyctas_mm.costs.latency import CLOCKS, Latency, measure_interleaved, measure_latency
from hyctas_mm.costs.latency_table import LatencyTable, device_name
from hyctas_mm.costs.macs import Macs, count_macs
from hyctas_mm.costs.memory import TrainingMemory, measure_training_memory, predict_training_memory
from hyctas_mm.costs.params import count_params
from hyctas_mm.costs.peak_memory import PeakMemory, in_fresh_process
from hyctas_mm.costs.shipped_size import ShippedSize, shipped_size
from hyctas_mm.costs.table_check import TableCheck, check_table
from hyctas_mm.costs.targets import Target, prepare_call, target_names

__all__ = [
    'CLOCKS',
    'Blocks',
    'Counts',
    'FitCheck',
    'FittedTable',
    'Latency',
    'LatencyTable',
    'Macs',
    'PeakMemory',
    'Sample',
    'ShippedSize',
    'TableCheck',
    'Target',
    'TrainingMemory',
    'check_table',
    'choose',
    'count',
    'count_macs',
    'count_params',
    'device_name',
    'in_fresh_process',
    'measure_interleaved',
    'measure_latency',
    'measure_training_memory',
    'predict_training_memory',
    'prepare_call',
    'shipped_size',
    'target_names',
]
