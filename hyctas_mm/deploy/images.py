"""Images of a config's data sets, as an exported network sees them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from mmengine.config import Config
from mmengine.registry import DATASETS

from hyctas_mm.datasets.checks import check_images, check_not_empty
from hyctas_mm.deploy.description import SMALLEST, NetDescription
from hyctas_mm.engine.predictions import spread_indices
from hyctas_mm.errors import BadValue
from hyctas_mm.visualization.panoptic_overlay import default_palette

Image = npt.NDArray[np.uint8]


def open_dataset(cfg: Config, part: str, pipeline_of: str | None = None) -> Any:
    """A data set of a config.

    Args:
        cfg: The config.
        part: ``'train'``, ``'val'`` or ``'test'``.
        pipeline_of: Another part, whose pipeline it gets: ``'val'`` gives training images without augmentation.

    Raises:
        ValueError: If the config has none, or it has no images; the message says why.
    """
    loader = cfg.get(f'{part}_dataloader')
    if not loader:
        raise BadValue(f'the config has no {part}_dataloader, so no images; give a config that has one')
    settings = dict(loader['dataset'])
    if pipeline_of:
        settings['pipeline'] = cfg[f'{pipeline_of}_dataloader']['dataset']['pipeline']
    try:
        check_images(settings, f'{part}_dataloader')
        dataset = DATASETS.build(settings)
        check_not_empty(dataset, f'{part}_dataloader')
    except OSError as error:
        raise BadValue(f'no images: {error}') from None
    return dataset


def spread_images(dataset: Any, count: int, description: NetDescription) -> Iterator[Image]:
    """Images (H, W, 3), BGR, spread over a data set, at sizes that the network takes."""
    for index in spread_indices(len(dataset), count):
        yield fit(image_of(dataset[index]), description)


def image_of(item: Mapping[str, Any]) -> Image:
    """The image (H, W, 3), BGR, of a data set's item, whose ``inputs`` are (3, H, W)."""
    return np.ascontiguousarray(item['inputs'].numpy().transpose(1, 2, 0)).astype(np.uint8)  # (3, H, W) -> (H, W, 3)


def fit(image: Image, description: NetDescription) -> Image:
    """An image at a size that the network takes: into a fixed one that is padded to, to another, or up to the least."""
    height, width = image.shape[:2]
    if description.pads_to_one:  # its ratio is kept, as it was in training
        share = min(1.0, description.input_hw[0] / height, description.input_hw[1] / width)
        height, width = (max(1, int(side * share)) for side in (height, width))
    elif 'size' in description.dynamic:
        height, width = max(SMALLEST, height), max(SMALLEST, width)
    else:
        height, width = description.input_hw
    return image if (height, width) == image.shape[:2] else cv2.resize(image, (width, height)).astype(np.uint8)


def class_names(
    cfg: Config, dataset_meta: Mapping[str, Any] | None, count: int
) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...]]:
    """Names and colours (RGB) of the classes: the checkpoint's, else the data set's own, else (without images here)
    numbers.
    """
    metainfo = dict(dataset_meta or {})
    if not metainfo.get('classes'):
        settings = (cfg.get('val_dataloader') or cfg.get('test_dataloader') or {}).get('dataset') or {}
        with DATASETS.switch_scope_and_registry(None) as registry:  # as DATASETS.build looks names up
            kind = registry.get(settings['type']) if settings else None
        # not mixed: classes of one would get colours of the other
        metainfo = dict(settings.get('metainfo') or getattr(kind, 'METAINFO', {}))
    if len(metainfo.get('classes') or ()) != count:  # of a panoptic set they are in its annotations
        with contextlib.suppress(ValueError):
            metainfo = dict(open_dataset(cfg, 'val').metainfo)
    names = tuple(map(str, metainfo.get('classes') or ()))
    if len(names) != count:
        names, metainfo = tuple(map(str, range(count))), {}
    palette = metainfo.get('palette') or default_palette(count)
    return names, tuple(tuple(map(int, colour)) for colour in palette)
