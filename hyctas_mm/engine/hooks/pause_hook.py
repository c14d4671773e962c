"""Trainings that stand still while another process measures how fast something is."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from hyctas_mm.files import begin_step, end_step


class PauseHook(Hook):
    """Waits before each step of training, validation and test while another process of the same user times networks
    (:func:`~hyctas_mm.files.alone`). :func:`~hyctas_mm.engine.configs.build_runner` gives it to trainings of one
    process; of several, those that step would wait for those that wait.
    """

    def _before_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, mode: str = 'train') -> None:
        begin_step()

    def _after_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None, mode: str = 'train'
    ) -> None:
        end_step()
