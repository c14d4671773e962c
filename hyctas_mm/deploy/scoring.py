"""Accuracy and latency of exported files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from torch import Tensor

from hyctas_mm.costs import measure_interleaved
from hyctas_mm.costs.latency import Latency
from hyctas_mm.deploy.description import NetDescription
from hyctas_mm.deploy.images import fit, image_of, open_dataset
from hyctas_mm.deploy.onnx_net import FileNet, OnnxNet
from hyctas_mm.engine.configs import use_scope
from hyctas_mm.engine.predictions import spread_indices
from hyctas_mm.registry import MODELS

Maps = dict[str, Tensor]


@torch.no_grad()
def score(file: str | Path | FileNet, cfg: Config, images: int | None = None) -> dict[str, float]:
    """The config's metrics of an exported file, on the validation images.

    Images are read by the config's pipeline. What comes after the file's outputs (resizing to the original image,
    grouping of instances) is the config's model.

    Args:
        file: The file: an ONNX file's path, or one opened in another runtime.
        cfg: The config that it was exported from.
        images: How many validation images, spread over them; None for all.

    Raises:
        ValueError: If there are no images.
    """
    use_scope(cfg)
    net = file if isinstance(file, FileNet) else OnnxNet(file, threads=torch.get_num_threads())
    dataset = open_dataset(cfg, 'val')
    evaluator = Evaluator(cfg.val_evaluator)
    evaluator.dataset_meta = dataset.metainfo
    model = MODELS.build(cfg.model).eval()  # its weights are not used
    indices = range(len(dataset)) if images is None else spread_indices(len(dataset), images)
    for index in indices:
        item = dataset[index]
        image = fit(image_of(item), net.description)
        maps = as_logits(
            {name: torch.from_numpy(np.ascontiguousarray(x)) for name, x in net(image).items()}, net.description
        )
        sample = item['data_samples']
        sample.set_metainfo(dict(img_shape=image.shape[:2]))
        evaluator.process(data_samples=_predict(model, maps, sample), data_batch={})
    return {name.split('/')[-1]: float(value) for name, value in evaluator.evaluate(len(indices)).items()}


def _predict(model: Any, maps: Maps, sample: Any) -> Any:
    if 'center' not in maps:
        return model.postprocess_result(maps['logits'], [sample])
    model.predict_maps = lambda _: (maps['logits'], maps['center'], maps['offset'])
    return model.predict(maps['logits'], [sample])


def as_logits(maps: Maps, description: NetDescription) -> Maps:
    """A file's outputs as ``logits``, ``center`` and ``offset`` that lead to the same prediction."""
    out = dict(maps)
    binary = description.binary_threshold
    if 'probabilities' in out:
        probabilities = out.pop('probabilities').clamp(min=torch.finfo(torch.float32).tiny)
        out['logits'] = probabilities.log() if binary is None else torch.logit(probabilities, 1e-6)
    if 'classes' in out:
        labels = out.pop('classes').long()  # (B, H, W)
        # (B, H, W, C) -> (B, C, H, W)
        one_hot = F.one_hot(labels, len(description.classes)).permute(0, 3, 1, 2).float()
        out['logits'] = one_hot if binary is None else (labels[:, None] * 2 - 1) * 20.0
    if 'peaks' in out:
        out['center'] = out.pop('peaks')  # a peak is the highest around it here too
    return out


def compare_latency(
    paths: Sequence[str | Path], image_hw: Sequence[int], threads: int = 1, seconds: float = 3.0
) -> list[Latency]:
    """Latency of several files, measured in turns on one random image.

    Args:
        paths: The files.
        image_hw: Height and width of the image in pixels.
        threads: Threads to compute with. With one, and PyTorch set to one, processor time is measured, which a busy
            machine does not lengthen; otherwise the time that passes.
        seconds: How long to measure each file.
    """
    image = np.random.default_rng(0).integers(0, 256, (*image_hw, 3), dtype=np.uint8)
    calls: list[Callable[[], object]] = []
    for path in paths:
        net = OnnxNet(path, threads)
        calls.append(partial(net.run, net.prepare(image)))
    clock = 'cpu' if threads == torch.get_num_threads() == 1 else 'wall'
    found = measure_interleaved(calls, torch.device('cpu'), seconds, clock=clock)
    return [Latency.of([time for times in rounds for time in times]) for rounds in found]
