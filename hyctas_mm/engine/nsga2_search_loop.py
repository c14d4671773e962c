"""The paper's search."""

from __future__ import annotations

from typing import Any

from mmengine.runner import Runner

from hyctas_mm.engine.search_loop import SearchLoop
from hyctas_mm.registry import LOOPS


@LOOPS.register_module()
class NSGA2SearchLoop(SearchLoop):
    """The search of the paper (section 3.4, Algorithm 1): NSGA-II, judged by weights inherited from a supernet.

    Args:
        runner: The runner.
        dataloader: Loader of calibration images.
        supernet: Checkpoint of the trained supernet; with ``calibration_batches``, ``amp`` and ``precision`` those of
            :class:`~hyctas_mm.evaluators.InheritedWeights`.
        calibration_batches: Batches that the batch norm is recalibrated on.
        amp: Whether candidates are scored in half precision, e.g. ``'bfloat16'``.
        precision: What candidates are scored in, ``'fp32'`` or ``'int8'``.
        crossover_prob: See :class:`~hyctas_mm.search.algorithms.NSGA2`.
        mutation_prob: See :class:`~hyctas_mm.search.algorithms.NSGA2`.
        **options: The other arguments of :class:`SearchLoop`.

    Example:
        >>> train_cfg = dict(
        ...     type='NSGA2SearchLoop', supernet='work_dirs/supernet/iter_4000.pth', subnet_config='subnet.py',
        ...     input_hw=(227, 320), objectives=['mIoU', 'latency_ms'], bounds=dict(latency_ms=dict(max=20)))
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: Any,
        supernet: str,
        calibration_batches: int = 16,
        amp: bool | str = False,
        precision: str = 'fp32',
        crossover_prob: float = 0.9,
        mutation_prob: float = 0.02,
        **options: Any,
    ) -> None:
        evaluator = dict(type='InheritedWeights', supernet=supernet, calibration_batches=calibration_batches, amp=amp)
        evaluator['precision'] = precision
        algorithm = dict(type='NSGA2', crossover_prob=crossover_prob, mutation_prob=mutation_prob)
        super().__init__(runner, dataloader, evaluator=evaluator, algorithm=algorithm, **options)
