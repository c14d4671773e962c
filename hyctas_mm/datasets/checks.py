"""Checks of whole datasets."""

from __future__ import annotations

from typing import Any


def check_not_empty(dataset: Any, name: str) -> None:
    """Refuses a dataset without images, which mmseg accepts and a sampler waits on for ever.

    Args:
        dataset: A dataset of mmengine.
        name: Where the config has it, e.g. ``'train_dataloader'``.

    Raises:
        FileNotFoundError: Naming the folder.
    """
    if len(dataset) == 0:
        prefix = getattr(dataset, 'data_prefix', {}).get('img_path', 'its folder')
        raise FileNotFoundError(f'{name}: no image in {prefix}; check data_root and data_prefix')
