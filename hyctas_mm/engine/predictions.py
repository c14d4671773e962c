"""Pictures of predictions beside the truth, for the report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from mmengine.dataset import pseudo_collate
from torch import nn

Image = npt.NDArray[np.uint8]


def spread_indices(size: int, count: int) -> list[int]:
    """``count`` indices of ``size``, evenly apart."""
    return [round(i) for i in np.linspace(0, size - 1, min(count, size))]


def overlay(image: Image, labels: npt.NDArray[Any], palette: Sequence[Sequence[int]], ignore_index: int = 255) -> Image:
    """Class colours over an image.

    Args:
        image: (H, W, 3), BGR.
        labels: (H, W), class indices; the ignored one stays black.
        palette: RGB of each class.
        ignore_index: The void label.

    Returns:
        (H, W, 3), BGR.
    """
    colours = np.zeros((256, 3), dtype=np.uint8)
    colours[: len(palette)] = np.asarray(palette, dtype=np.uint8)[:, ::-1]
    colours[ignore_index] = 0
    mixed: Image = cv2.addWeighted(image, 0.35, colours[labels.astype(np.uint8)], 0.65, 0)
    return mixed


@torch.no_grad()
def draw_predictions(model: nn.Module, dataset: Any, folder: Path, name: str, count: int = 4) -> None:
    """Writes ``folder/<image>/{image,truth,<name>}.png`` for images spread over a dataset.

    Args:
        model: A segmentor in eval mode.
        dataset: An mmseg dataset with the test pipeline, which must load annotations.
        folder: Where the pictures go.
        name: File name of this model's predictions.
        count: Number of images.
    """
    palette = dataset.metainfo['palette']
    for index in spread_indices(len(dataset), count):
        data = dataset[index]
        sample = model.test_step(pseudo_collate([data]))[0]
        labels = sample.pred_sem_seg.data[0].cpu().numpy()
        path = Path(sample.img_path)
        image = cv2.resize(cv2.imread(str(path)), labels.shape[::-1])
        target = folder / path.stem
        target.mkdir(parents=True, exist_ok=True)
        truth = data['data_samples'].gt_sem_seg.data[0].numpy()
        truth = cv2.resize(truth.astype(np.uint8), labels.shape[::-1], interpolation=cv2.INTER_NEAREST)
        cv2.imwrite(str(target / 'image.png'), image)
        cv2.imwrite(str(target / 'truth.png'), overlay(image, truth, palette))
        cv2.imwrite(str(target / f'{name}.png'), overlay(image, labels, palette))
