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
INSTANCE_OFFSET = 1000
"""mmdet's encoding of a panoptic map: label + 1000 * instance."""


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


def panoptic_overlay(image: Image, panoptic: npt.NDArray[Any], palette: Sequence[Sequence[int]]) -> Image:
    """Class colours over an image, things outlined and each in a shade of its own.

    Args:
        image: (H, W, 3), BGR.
        panoptic: (H, W), mmdet's encoding; labels without a colour (void) stay black.
        palette: RGB of each class.

    Returns:
        (H, W, 3), BGR.
    """
    labels, instances = panoptic % INSTANCE_OFFSET, panoptic // INSTANCE_OFFSET
    mixed = overlay(image, np.where(labels < len(palette), labels, 255), palette)
    shade = np.where(instances > 0, 0.7 + 0.6 * (instances * 0.618034 % 1), 1.0)  # the golden ratio keeps neighbours apart
    mixed = np.clip(mixed * shade[..., None], 0, 255).astype(np.uint8)
    things = np.where(instances > 0, panoptic, -1)
    edge = np.zeros(things.shape, dtype=bool)
    edge[:, 1:] |= things[:, 1:] != things[:, :-1]
    edge[1:] |= things[1:] != things[:-1]
    mixed[edge] = 255
    return mixed


def true_panoptic(ids: npt.NDArray[Any], segments: Sequence[dict[str, Any]], num_classes: int) -> npt.NDArray[np.int64]:
    """Ground truth in the encoding of predictions.

    Args:
        ids: (H, W), segment ids, 0 is void.
        segments: ``dict(id, category, is_thing, iscrowd)`` of each.
        num_classes: The void label.
    """
    out = np.full(ids.shape, num_classes, dtype=np.int64)
    for number, segment in enumerate(segments, start=1):
        instance = number if segment['is_thing'] and not segment['iscrowd'] else 0
        out[ids == segment['id']] = segment['category'] + instance * INSTANCE_OFFSET
    return out


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
    palette = dataset.metainfo['palette']
    for index in spread_indices(len(dataset), count):
        data = dataset[index]
        sample = model.test_step(pseudo_collate([data]))[0]
        path = Path(sample.img_path)
        image, truth, predicted = (_panoptic if 'pred_panoptic_seg' in sample else _semantic)(path, sample, data['data_samples'], palette)
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
