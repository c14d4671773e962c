"""Candidates judged by the weights that they inherit from a trained supernet (paper section 3.4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from hyctas_mm.archs import Architecture
from hyctas_mm.engine.checkpoint import load_supernet
from hyctas_mm.engine.hooks.sample_arch_hook import supernet_space
from hyctas_mm.engine.scoring import Scorer, evaluation_text
from hyctas_mm.errors import BadValue
from hyctas_mm.models.subnet import cut_subnet
from hyctas_mm.registry import EVALUATORS
from hyctas_mm.search.archive import Candidate
from hyctas_mm.search.evaluator import Job, Outcome


@EVALUATORS.register_module()
class InheritedWeights:
    """Scores what is cut out of the supernet.

    The batch norm is recalibrated on training images, and the network scored on validation images. What is scored is
    the fixed network that would ship, so the supernet stays untouched and the same candidate scores the same at any
    time.

    Args:
        runner: Its model is the supernet. ``train_dataloader`` gives the images that the batch norm is recalibrated on,
            ``val_dataloader`` and ``val_evaluator`` score; no image may be in both. With ``screening`` in ``train_cfg``
            a part of the images is scored first.
        supernet: Checkpoint of the trained supernet; None keeps the weights that the model has.
        calibration_batches: Batches that the batch norm is recalibrated on.
        amp: Whether candidates are scored in half precision, ``'bfloat16'``, ``'float16'`` or True, see
            :class:`~hyctas_mm.engine.scoring.Scorer`: faster on a GPU, and the scores differ a little from those in
            float32.
        precision: ``'int8'`` scores candidates as their INT8 files would, calibrated on images of the batch norm's, see
            :class:`~hyctas_mm.engine.scoring.Scorer`.

    Attributes:
        scorer: Scores networks.

    Raises:
        FileNotFoundError: If there is no such checkpoint.
        ValueError: For a wrong argument, images both calibrated and scored on, a supernet of another space.

    Example:
        >>> evaluator = dict(type='InheritedWeights', supernet='work_dirs/supernet/iter_4000.pth', amp='bfloat16')
    """

    def __init__(
        self,
        runner: Runner,
        supernet: str | Path | None,
        calibration_batches: int = 16,
        amp: bool | str = False,
        precision: str = 'fp32',
    ) -> None:
        if type(calibration_batches) is not int or calibration_batches < 1:
            raise BadValue(f'train_cfg: calibration_batches={calibration_batches!r}; expected a whole number from 1 up')
        self._supernet: nn.Module = runner.model.module if is_model_wrapper(runner.model) else runner.model
        self._model_cfg = runner.cfg.model.to_dict()
        self._sha1: str | None = None
        if supernet is not None:
            self.load(supernet)
        loop, validation = runner.train_loop, runner.val_loop
        device = next(self._supernet.parameters()).device
        first = loop.screening.images if loop.screening else 0
        images = (loop.dataloader, validation.dataloader, validation.evaluator)
        self.scorer = Scorer(*images, calibration_batches, device, first_images=first, amp=amp, ships_in=precision)
        self._settings = dict(evaluation=evaluation_text(runner.cfg), calibration_batches=calibration_batches, amp=amp)
        if precision != 'fp32':  # left out, so that searches of before it was there go on
            self._settings['precision'] = precision

    def load(self, supernet: str | Path) -> None:
        """Takes the weights of another supernet of the same space."""
        self._sha1 = load_supernet(self._supernet, supernet, supernet_space(self._supernet))

    def identity(self) -> dict[str, Any]:
        """SHA-1 of the supernet's file and of the images, and what else decides a score."""
        return dict(supernet_sha1=self._sha1, images_sha1=self.scorer.images_sha1, **self._settings)

    def evaluate(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Scores one after the other."""
        for job in jobs:
            yield Outcome(self.scorer.score(self.network(job.arch), job.limit))

    def network(self, arch: Architecture) -> nn.Module:
        """The fixed network with the supernet's weights and recalibrated batch norm, in eval mode."""
        return self.scorer.recalibrated(cut_subnet(self._supernet, self._model_cfg, arch))

    def observe(self, candidates: Sequence[Candidate]) -> None:
        """Nothing is learnt from other candidates."""
