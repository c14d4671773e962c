"""Wiring into mmengine: hooks and loops."""

from hyctas_mm.engine.accumulation import AccumulatingEpochLoop, AccumulatingIterLoop
from hyctas_mm.engine.bfloat16_optim_wrapper import Bfloat16OptimWrapper
from hyctas_mm.engine.checkpoint import let_mmengine_read_its_checkpoints
from hyctas_mm.engine.distilled_segmentor import DistilledSegmentor
from hyctas_mm.engine.gradient_search_loop import GradientSearchLoop
from hyctas_mm.engine.hooks import SampleArchHook
from hyctas_mm.engine.nsga2_search_loop import NSGA2SearchLoop
from hyctas_mm.engine.search_loop import SearchLoop
from hyctas_mm.engine.supernet_data_parallel import SupernetDataParallel
from hyctas_mm.engine.transfer import TransferHook

let_mmengine_read_its_checkpoints()

__all__ = [
    'AccumulatingEpochLoop',
    'AccumulatingIterLoop',
    'Bfloat16OptimWrapper',
    'DistilledSegmentor',
    'GradientSearchLoop',
    'NSGA2SearchLoop',
    'SampleArchHook',
    'SearchLoop',
    'SupernetDataParallel',
    'TransferHook',
]
