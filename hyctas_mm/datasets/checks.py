"""Checks of whole datasets: what mmseg and mmengine say of an empty one names neither the folder nor the mistake."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmseg.datasets import BaseSegDataset

from hyctas_mm.datasets.half_size import check_half_size
from hyctas_mm.errors import BadValue, NoSuchFile
from hyctas_mm.registry import DATASETS


def check_not_empty(dataset: Any, name: str) -> None:
    """Refuses a dataset without images, which a sampler waits on for ever.

    Args:
        dataset: A dataset of mmengine.
        name: Where the config has it, e.g. ``'train_dataloader'``.

    Raises:
        FileNotFoundError: Naming the folder.
    """
    if len(dataset) == 0:
        raise NoSuchFile(_no_image(dataset, name))


def check_images(settings: Mapping[str, Any], name: str) -> None:
    """Refuses the config of an mmseg dataset, or of a wrapper around some, whose folder or list of images is missing
    or without images.

    Args:
        settings: A dataset's config. Datasets of other libraries are not looked at.
        name: Where the config has it, e.g. ``'train_dataloader'``.

    Raises:
        FileNotFoundError: Naming the folder or file, what was expected in it, and what to set.
        ValueError: If ``indices`` name images that there are not, or a training takes copies of half size larger.
    """
    for inner in (settings.get('dataset'), *(settings.get('datasets') or ())):
        if inner:
            check_images(inner, name)
    kind = settings['type']
    if isinstance(kind, str):
        with DATASETS.switch_scope_and_registry(
            settings.get('_scope_')
        ) as registry:  # as DATASETS.build looks names up
            kind = registry.get(kind)
    if not isinstance(kind, type) or not issubclass(kind, BaseSegDataset):
        return
    dataset = DATASETS.build({**settings, 'lazy_init': True, 'pipeline': []})
    if dataset.backend_args:  # not files of this machine
        return
    folder = dataset.data_prefix.get('img_path')
    if folder is not None and not Path(folder).is_dir():
        raise NoSuchFile(
            f"{name}: no folder {folder}; set data_root (--data-root DIR) and data_prefix['img_path'] to the folder "
            'of images'
        )
    if dataset.ann_file and not Path(dataset.ann_file).exists():
        raise NoSuchFile(
            f'{name}: no file {dataset.ann_file}; set ann_file to the list of images, or leave it out to take the '
            'whole folder'
        )
    if name == 'train_dataloader':
        check_half_size(dataset.data_root, settings.get('pipeline', ()), name)
    samples = dataset.load_data_list()
    if not samples:
        raise NoSuchFile(_no_image(dataset, name))
    indices = settings.get('indices')
    least = indices if isinstance(indices, int) else 1 + max(indices or [0])
    if least > len(samples):
        raise BadValue(
            f'{name}: indices need {least} images, but {folder} has {len(samples)}; add those that are missing, or '
            'change indices'
        )
    label = samples[0].get('seg_map_path')
    steps = [part for step in settings.get('pipeline', ()) for part in (step, *step.get('transforms', ()))]
    if label and not Path(label).is_file() and any(step['type'] == 'LoadAnnotations' for step in steps):
        raise NoSuchFile(
            f'{name}: image {samples[0]["img_path"]} has no label {label}; add it, or set seg_map_suffix and '
            "data_prefix['seg_map_path'] to where labels are"
        )


def _no_image(dataset: Any, name: str) -> str:
    folder = getattr(dataset, 'data_prefix', {}).get('img_path', 'its folder')
    kind = f'*{dataset.img_suffix} ' if hasattr(dataset, 'img_suffix') else ''
    return (
        f'{name}: no {kind}image in {folder}; set img_suffix to the end of their names, or data_root (--data-root '
        'DIR) to another folder'
    )
