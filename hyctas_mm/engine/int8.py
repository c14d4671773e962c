"""Networks as their INT8 files, in PyTorch: calibrated, tested, and trained on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn

from hyctas_mm.costs.fake_int8 import FakeInt8, plan_int8
from hyctas_mm.engine.predictions import spread_indices
from hyctas_mm.errors import BadValue
from hyctas_mm.registry import DATASETS, HOOKS

FLOAT_LAYERS = ('panoptic_head.trunk.instance.towers.center',)
"""Layers that stay float32 in an INT8 file; in 8 bits the centres' tower lost 3.6 points of PQ on nuclei."""
INT8_IMAGES = 64
"""Training images that the ranges of 8 bits are found on."""
RANGES = 'int8_ranges'
"""Under this name a checkpoint of a training in 8 bits has the ranges."""


def calibrated_int8(network: nn.Module, batches: Iterable[Mapping[str, Any]], images: int = INT8_IMAGES) -> FakeInt8:
    """What a network's INT8 file computes, with the ranges that its maps have on images.

    Args:
        network: A segmentor or detector in eval mode.
        batches: Batches of training images.
        images: How many of them are enough.

    Raises:
        ValueError: If it computes an image in windows, or there are no images.
    """
    if (getattr(network, 'test_cfg', None) or {}).get('mode') == 'slide':
        raise BadValue("int8 with test_cfg mode='slide': files take whole images; give mode='whole'")
    inputs: list[Tensor] = []
    for batch in batches:
        if sum(map(len, inputs)) < images:
            inputs.append(network.data_preprocessor(batch, False)['inputs'])
    if not inputs:
        raise BadValue('no calibration images for int8; give training images, 32 to 256 of them')
    int8 = FakeInt8(network, plan_int8(network, (1, *inputs[0].shape[1:]), FLOAT_LAYERS))
    int8.calibrate(lambda: [network(x, mode='tensor') for x in inputs])
    return int8


def calibration_images(cfg: Config, count: int = INT8_IMAGES) -> Iterator[dict[str, Any]]:
    """Training images as tests read them, spread over all, each as a batch.

    Args:
        cfg: The config of a network.
        count: How many.
    """
    settings = dict(cfg.train_dataloader.dataset, pipeline=cfg.val_dataloader.dataset.pipeline)
    dataset = DATASETS.build(settings)
    for index in spread_indices(len(dataset), count):
        item = dataset[index]
        yield dict(inputs=[item['inputs']], data_samples=[item['data_samples']])


@HOOKS.register_module()
class Int8Hook(Hook):
    """Tests and trains a fixed network in 8 bits. Gradients pass the rounding as if it were none.

    The network stays in eval mode: statistics of the batch norm are those that its file has. Ranges are found before
    the first step, kept in checkpoints, and stay.

    Args:
        images: Training images that the ranges are found on.
    """

    def __init__(self, images: int = INT8_IMAGES) -> None:
        self.images = images
        self._int8: FakeInt8 | None = None
        self._kept: dict[int, tuple[float, float]] | None = None

    def _begin(self, runner: Runner) -> None:
        if self._int8 is None:
            model = runner.model.module if is_model_wrapper(runner.model) else runner.model
            model.eval()
            self._int8 = calibrated_int8(model, calibration_images(runner.cfg, self.images), self.images)
            if self._kept is not None:
                self._int8.ranges = {int(number): (low, high) for number, (low, high) in self._kept.items()}

    def before_train(self, runner: Runner) -> None:
        self._begin(runner)

    def before_test(self, runner: Runner) -> None:
        self._begin(runner)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        runner.model.eval()
        self._enter()

    def before_test_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        self._enter()

    def after_train_iter(self, runner: Runner, *_: Any, **__: Any) -> None:
        self._exit()

    def after_test_iter(self, runner: Runner, *_: Any, **__: Any) -> None:
        self._exit()

    def _enter(self) -> None:
        assert self._int8 is not None
        self._int8.__enter__()

    def _exit(self) -> None:
        assert self._int8 is not None
        self._int8.__exit__(None, None, None)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        if self._int8 is not None:
            checkpoint[RANGES] = dict(self._int8.ranges)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        self._kept = checkpoint.get(RANGES)
