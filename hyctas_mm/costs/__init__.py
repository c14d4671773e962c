"""What a network costs. Works on any module; knows nothing of ours but the ``cost_unit`` mark."""

from hyctas_mm.costs.latency import Latency, measure_latency
from hyctas_mm.costs.latency_table import LatencyTable, device_name
from hyctas_mm.costs.macs import Macs, count_macs
from hyctas_mm.costs.params import count_params

__all__ = ['Latency', 'LatencyTable', 'Macs', 'count_macs', 'count_params', 'device_name', 'measure_latency']
