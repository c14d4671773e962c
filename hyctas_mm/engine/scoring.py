"""The score of a network: recalibrate its batch norm, run the evaluator on the validation images, which are decoded
once for all networks.
"""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv.cnn.utils import fuse_conv_bn
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from torch import nn
from torch.utils.hooks import RemovableHandle

from hyctas_mm.datasets.checks import check_not_empty
from hyctas_mm.engine.int8 import calibrated_int8
from hyctas_mm.errors import BadValue
from hyctas_mm.evaluation.iou_on_device import IoUOnDevice
from hyctas_mm.search.screening import PART, Limit

Batch = dict[str, Any]
PRECISIONS = ('bfloat16', 'float16')


@torch.no_grad()
def recalibrate_bn(model: nn.Module, batches: Iterable[Batch]) -> None:
    """Sets the running statistics of every batch norm to the average over ``batches`` (paper section 4.2); nothing
    else changes.

    Args:
        model: A segmentor or detector with a data preprocessor. It is in eval mode afterwards.
        batches: Batches of a data loader, two images or more each.
    """
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [m.momentum for m in norms]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.train()
    averages = [_average_cumulatively(norm) for norm in norms]
    for batch in batches:
        inputs = model.data_preprocessor(batch, False)['inputs']
        model(inputs, mode='tensor')
    for norm, momentum, average in zip(norms, momenta, averages, strict=True):
        average.remove()
        norm.momentum = momentum
    model.eval()


def _average_cumulatively(norm: nn.Module) -> RemovableHandle:
    """Makes a batch norm average over all batches, as ``momentum=None`` does by asking the device for their number.

    A shared cell of a supernet may be used twice for a batch; each of its slots counts its own batches.
    """
    calls: Counter[int] = Counter()

    def count(module: nn.Module, _: Any) -> None:
        slot = getattr(module, 'slot', 0)
        calls[slot] += 1
        module.momentum = 1 / calls[slot]

    return norm.register_forward_pre_hook(count)


class Scorer:
    """Scores networks on the same images.

    All images and labels are decoded once and kept in memory as uint8, on the device of the networks where they fit.
    mmseg's mIoU is counted there.

    Args:
        calibration: Loader of training images for the batch norm, batches of two images or more.
        validation: Loader of the images to score on; none of them may be a calibration image.
        evaluator: mmengine's evaluator.
        calibration_batches: How many calibration batches to use.
        device: Where the networks are.
        seed: Decides which calibration images are taken, what their pipeline draws at random, and which validation
            images come first.
        first_images: Number of validation images, drawn at random, that a network can be judged on before the others; 0
            for none.
        amp: Whether networks compute in half precision where PyTorch thinks it safe: ``'bfloat16'``, ``'float16'``, or
            True for float16 on a GPU and bfloat16 on a CPU.
        ships_in: ``'int8'`` scores networks as their INT8 files would, ``'fp32'`` as they are.

    Attributes:
        images_sha1: Identifies the images used, as the pipelines give them.

    Raises:
        ValueError: If a loader has no image, an image is in both, a calibration batch has a single image,
            ``first_images`` are all images, or there is no such ``amp`` or ``ships_in``.
    """

    def __init__(
        self,
        calibration: Any,
        validation: Any,
        evaluator: Evaluator,
        calibration_batches: int,
        device: torch.device,
        seed: int = 0,
        first_images: int = 0,
        amp: bool | str = False,
        ships_in: str = 'fp32',
    ) -> None:
        if amp not in (*PRECISIONS, False, True):
            raise BadValue(f'amp={amp!r}; expected True, False, or one of {", ".join(PRECISIONS)}')
        if ships_in not in ('fp32', 'int8') or (ships_in == 'int8' and amp):
            raise BadValue(f"precision={ships_in!r} with amp={amp!r}; expected 'fp32', or 'int8' without amp")
        check_disjoint(calibration, validation)
        if first_images >= len(validation.dataset):
            raise BadValue(
                f'train_cfg.screening: screening on {first_images} of {len(validation.dataset)} validation images; '
                'expected fewer than all: '
                'lower images, or leave screening out'
            )
        self.device, self.amp, self.ships_in = device, amp, ships_in
        self.evaluator = Evaluator([IoUOnDevice.like(metric) for metric in evaluator.metrics])
        self.evaluator.dataset_meta = validation.dataset.metainfo
        count = calibration_batches * calibration.batch_size
        order = np.random.default_rng(seed).permutation(len(calibration.dataset))[:count]
        with seeded(seed):
            self._calibration: list[Batch] = [
                dict(inputs=batch['inputs']) for batch in load_batches(calibration, order)
            ]
            images: Sequence[int] = range(len(validation.dataset))
            if first_images:
                images = np.random.default_rng([seed, 1]).permutation(len(images)).tolist()
            parts = (images[:first_images], images[first_images:])
            first, rest = ([_with_small_labels(batch) for batch in load_batches(validation, part)] for part in parts)
        self._validation, self._num_first = [*first, *rest], len(first)
        if len(self._calibration) > 1 and len(self._calibration[-1]['inputs']) == 1:
            self._calibration.pop()  # what is left over of the images
        if any(len(batch['inputs']) < 2 for batch in self._calibration):
            raise BadValue('train_dataloader: a calibration batch has a single image; set batch_size to 2 or more')
        self.images_sha1 = digest([*self._calibration, *self._validation])
        keep_on_device([*self._calibration, *self._validation], self.device)

    def recalibrated(self, network: nn.Module) -> nn.Module:
        """The network made ready for :meth:`score`: in eval mode, its batch norm recalibrated, channels last."""
        network = network.to(memory_format=torch.channels_last)  # 1.1 to 1.4 times faster on a CPU
        with fixed_kernels(), self.precision():
            recalibrate_bn(network, self._calibration)
        return network

    def precision(self) -> torch.autocast:
        """In which networks compute."""
        kind = getattr(torch, self.amp) if isinstance(self.amp, str) else None
        return torch.autocast(self.device.type, kind, enabled=bool(self.amp))

    @torch.no_grad()
    def score(self, network: nn.Module, limit: Limit | None = None) -> dict[str, float]:
        """The evaluator's metrics of a network.

        Args:
            network: In eval mode.
            limit: Decides by the metrics of the first images whether to leave the others out.

        Returns:
            Metrics by name; with ``first_images`` also those of the first images, ``_part`` behind their names, and
            only those if it is given up.
        """
        try:
            with fixed_kernels():
                if self.ships_in == 'fp32':
                    return self._score(network, limit)
                network = fuse_conv_bn(copy.deepcopy(network))
                with calibrated_int8(network, self._calibration):
                    return self._score(network, limit)
        finally:
            for metric in self.evaluator.metrics:
                metric.results.clear()

    def _score(self, network: nn.Module, limit: Limit | None) -> dict[str, float]:
        self._process(network, self._validation[: self._num_first])
        first = self._metrics() if self._num_first else {}
        part = {name + PART: value for name, value in first.items()}
        if limit is not None and first and limit.gives_up(first):
            return part
        self._process(network, self._validation[self._num_first :])
        return self._metrics() | part

    def _process(self, network: nn.Module, batches: Sequence[Batch]) -> None:
        with self.precision():  # one for all batches, so that weights are converted once
            for batch in batches:
                predicted = network.val_step(batch)
                with torch.autocast(self.device.type, enabled=False):
                    self.evaluator.process(data_samples=predicted, data_batch=batch)

    def _metrics(self) -> dict[str, float]:
        """Metrics of what was processed; not ``evaluator.evaluate``, which would gather from other processes, busy
        with other candidates.
        """
        found: dict[str, Any] = {}
        with _quiet():
            for metric in self.evaluator.metrics:
                found |= metric.compute_metrics(metric.results)
        return {name.split('/')[-1]: float(value) for name, value in found.items()}


def _with_small_labels(batch: Batch) -> Batch:
    """Labels and segment ids come as int64; most classes fit a byte, ids four."""
    for sample in batch['data_samples']:
        if 'gt_sem_seg' in sample:
            labels = sample.gt_sem_seg.data
            sample.gt_sem_seg.data = labels.to(torch.uint8 if labels.max() <= 255 else torch.int32)
        if 'gt_panoptic_seg' in sample:
            sample.gt_panoptic_seg.sem_seg = sample.gt_panoptic_seg.sem_seg.int()
    return batch


def keep_on_device(batches: Sequence[dict[str, Any]], device: torch.device, share: float = 0.5) -> bool:
    """Moves the images of batches and what is true of them to a GPU, all or none: they are then copied once and not
    for every candidate.

    Args:
        batches: With ``inputs``, a list of images, and if they are for validation ``data_samples``, whose
            ``gt_sem_seg`` and ``gt_panoptic_seg`` are moved.
        device: Where the networks run. Nothing is to be moved to a CPU.
        share: Part of the GPU's free memory that they may take.

    Returns:
        Whether they lie on the device now.
    """
    if device.type != 'cuda':
        return device.type == 'cpu'
    truths = [
        sample.get(name)
        for batch in batches
        for sample in batch.get('data_samples', ())
        for name in ('gt_sem_seg', 'gt_panoptic_seg')
        if name in sample
    ]
    tensors = [image for batch in batches for image in batch['inputs']]
    tensors += [value for truth in truths for value in truth.values() if isinstance(value, torch.Tensor)]
    if sum(tensor.numel() * tensor.element_size() for tensor in tensors) > share * torch.cuda.mem_get_info(device)[0]:
        return False
    for batch in batches:
        batch['inputs'] = [image.to(device) for image in batch['inputs']]
    for truth in truths:
        for name, value in truth.items():
            if isinstance(value, torch.Tensor):
                truth.set_field(value.to(device), name)
    return True


def load_batches(loader: Any, indices: Iterable[int]) -> Iterator[Batch]:
    """Batches of these images of a loader's dataset, the same on every process.

    Args:
        loader: A data loader; its sampler, which divides images among processes, is not used.
        indices: The images in order.
    """
    indices = [int(i) for i in indices]
    size = loader.batch_size
    for start in range(0, len(indices), size):
        yield loader.collate_fn([loader.dataset[i] for i in indices[start : start + size]])


@contextmanager
def fixed_kernels() -> Iterator[None]:
    """Leaves out cuDNN's search for the fastest kernels (``cudnn_benchmark``), which is made anew for every width of
    convolution and size of image, and may choose others each time: the same candidate would score differently.
    """
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def training_threads(device: torch.device) -> int | None:
    """What a training's last digits depend on beside its seed: on a CPU the threads of the process."""
    return torch.get_num_threads() if device.type == 'cpu' else None


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences the evaluator's table of classes, which would be printed for every network."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Random numbers of pipelines from a seed; the states are as before afterwards."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


def digest(batches: Sequence[Batch]) -> str:
    """SHA-1 of the images of batches."""
    sha1 = hashlib.sha1()
    for batch in batches:
        for image in batch['inputs']:
            sha1.update(np.ascontiguousarray(image.numpy()).data)
    return sha1.hexdigest()


def evaluation_text(cfg: Config) -> str:
    """What decides a score beside weights and images: the model's ``test_cfg`` and the evaluator."""
    return json.dumps([cfg.model.get('test_cfg'), cfg.get('val_evaluator')], sort_keys=True, default=str)


def image_paths(dataset: Any) -> set[str]:
    """The image files of a dataset, resolved."""
    infos = (dataset.get_data_info(i) for i in range(len(dataset)))
    return {str(Path(info['img_path']).resolve()) for info in infos}


def check_disjoint(calibration: Any, validation: Any) -> None:
    """Refuses to score on images that the batch norm is calibrated on.

    Raises:
        ValueError: Naming an image and how many both loaders hold.
    """
    for name, loader in (('train_dataloader', calibration), ('val_dataloader', validation)):
        check_not_empty(loader.dataset, name)
    shared: Sequence[str] = sorted(image_paths(calibration.dataset) & image_paths(validation.dataset))
    if shared:
        raise BadValue(
            f'{len(shared)} image(s) are in both train_dataloader (batch norm calibration) and val_dataloader '
            f'(scoring), e.g. {shared[0]}; '
            'scores would be too good: give the search disjoint images'
        )
