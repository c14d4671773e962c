"""Train loops that take a batch in pieces, for a batch that does not fit a device at once.

mmengine's own accumulation counts every piece as a step of its own: lengths, schedulers, checkpoints and the sampled
architectures would all have to be counted anew. Here a step remains a step. The loader gives the whole batch of the
process, and ``optim_wrapper.accumulative_counts`` says in how many pieces it is computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner

from hyctas_mm.errors import BadValue
from hyctas_mm.registry import LOOPS


@LOOPS.register_module()
class AccumulatingIterLoop(IterBasedTrainLoop):
    """mmengine's loop over steps, each of which adds up the gradients of ``optim_wrapper.accumulative_counts`` pieces
    of its batch.

    Example:
        >>> train_dataloader = dict(batch_size=32)
        >>> optim_wrapper = dict(accumulative_counts=4)  # pieces of 8
        >>> train_cfg = dict(type='AccumulatingIterLoop')  # in place of 'IterBasedTrainLoop'
    """

    def run(self) -> Any:
        _count_pieces(self.runner)
        return super().run()

    def run_iter(self, data_batch: Any) -> None:
        _run_step(self.runner, self._iter, data_batch)
        self._iter += 1


@LOOPS.register_module()
class AccumulatingEpochLoop(EpochBasedTrainLoop):
    """As :class:`AccumulatingIterLoop`, over epochs."""

    def run(self) -> Any:
        _count_pieces(self.runner)
        return super().run()

    def run_iter(self, idx: int, data_batch: Any) -> None:
        _run_step(self.runner, idx, data_batch)
        self._iter += 1


def split_batch(batch: Any, pieces: int) -> list[Any]:
    """Cuts what a data loader gives, lists or tensors in dicts, into pieces of consecutive images.

    Raises:
        ValueError: If the images do not divide.
    """
    if isinstance(batch, Mapping):
        parts = {key: split_batch(value, pieces) for key, value in batch.items()}
        return [{key: values[n] for key, values in parts.items()} for n in range(pieces)]
    size, rest = divmod(len(batch), pieces)
    if rest or not size:
        raise BadValue(
            f'train_dataloader: a batch of {len(batch)} images is not divisible by '
            f'optim_wrapper.accumulative_counts={pieces}; set drop_last=True, or another batch_size'
        )
    return [batch[n * size : (n + 1) * size] for n in range(pieces)]


def _count_pieces(runner: Runner) -> None:
    """mmengine has just told its optimiser that steps are to be counted; from here on it counts pieces, without an
    end.
    """
    runner.optim_wrapper.initialize_count_status(runner.model, 0, -1)


def _run_step(runner: Runner, index: int, batch: Any) -> None:
    """As mmengine's ``run_iter``, in pieces; what is logged is their mean."""
    runner.call_hook('before_train_iter', batch_idx=index, data_batch=batch)
    logs: Sequence[dict[str, Any]] = [
        runner.model.train_step(piece, optim_wrapper=runner.optim_wrapper)
        for piece in split_batch(batch, runner.optim_wrapper._accumulative_counts)
    ]
    outputs = {key: sum(log[key] for log in logs) / len(logs) for key in logs[0]}
    runner.call_hook('after_train_iter', batch_idx=index, data_batch=batch, outputs=outputs)
