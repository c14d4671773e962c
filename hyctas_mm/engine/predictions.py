"""Pictures of predictions beside the truth, for the report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from torch import nn

from hyctas_mm.visualization import overlay, palette_of, panoptic_overlay, true_panoptic
from hyctas_mm.visualization.panoptic_overlay import Image


def spread_indices(size: int, count: int) -> list[int]:
    """``count`` indices of ``size``, evenly apart."""
    return [round(i) for i in np.linspace(0, size - 1, min(count, size))]


@torch.no_grad()
def draw_predictions(model: nn.Module, dataset: Any, folder: Path, name: str, count: int = 4) -> None:
    """Writes ``folder/<image>/{image,truth,<name>}.png`` for images spread over a dataset.

    Args:
        model: A segmentor or panoptic detector in eval mode.
        dataset: A dataset with the test pipeline, which must load annotations.
        folder: Where the pictures go.
        name: File name of this model's predictions.
        count: Number of images.
    """
    palette = palette_of(dataset.metainfo)
    for index in spread_indices(len(dataset), count):
        data = dataset[index]
        sample = model.test_step(pseudo_collate([data]))[0]
        path = Path(sample.img_path)
        image, truth, predicted = (_panoptic if 'pred_panoptic_seg' in sample else _semantic)(
            path, sample, data['data_samples'], palette
        )
        target = folder / path.stem
        target.mkdir(parents=True, exist_ok=True)
        for file, picture in (('image', image), ('truth', truth), (name, predicted)):
            cv2.imwrite(str(target / f'{file}.png'), picture)


def _semantic(path: Path, sample: Any, packed: Any, palette: Sequence[Sequence[int]]) -> tuple[Image, Image, Image]:
    """Image, truth and prediction."""
    labels = sample.pred_sem_seg.data[0].cpu().numpy()
    image = cv2.resize(cv2.imread(str(path)), labels.shape[::-1])
    truth = packed.gt_sem_seg.data[0].numpy()
    truth = cv2.resize(truth.astype(np.uint8), labels.shape[::-1], interpolation=cv2.INTER_NEAREST)
    return image, overlay(image, truth, palette), overlay(image, labels, palette)


def _panoptic(path: Path, sample: Any, packed: Any, palette: Sequence[Sequence[int]]) -> tuple[Image, Image, Image]:
    """Image, truth and prediction."""
    panoptic = sample.pred_panoptic_seg.sem_seg[0].cpu().numpy()
    image = cv2.resize(cv2.imread(str(path)), panoptic.shape[::-1])
    truth = true_panoptic(packed.gt_panoptic_seg.sem_seg[0].numpy(), packed.gt_segments_info, len(palette))
    return image, panoptic_overlay(image, truth, palette), panoptic_overlay(image, panoptic, palette)
