"""Any training, search or test of ours as small as it goes, on a CPU."""

from __future__ import annotations

from mmengine.config import Config, ConfigDict

SIDE = 64
"""Pixels of a crop's sides."""


def shrink(cfg: Config) -> Config:
    """Makes networks narrow and crops small, and a training two steps or an epoch; the schedule stays as long as it is.

    Args:
        cfg: A config of ours, changed in place.

    Returns:
        The same.
    """
    for part in ('backbone', 'decode_head', 'panoptic_head'):
        block = cfg.model.get(part) or ConfigDict()
        if 'search_space' in block:
            block.search_space = dict(block.search_space, layers=4, base_channels=2)
        elif 'base_channels' in block:
            block.base_channels = 2
    if 'size' in cfg.model.data_preprocessor:
        cfg.model.data_preprocessor.size = (SIDE, SIDE)
    if 'stuff_area' in (cfg.model.get('test_cfg') or {}):
        cfg.model.test_cfg.stuff_area = 16
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg[name]
        loader.update(num_workers=0, persistent_workers=False, batch_size=2 if name == 'train_dataloader' else 1)
        for step in loader.dataset.pipeline:
            _shrink_step(step)
    if 'max_iters' in cfg.train_cfg:
        cfg.train_cfg.update(max_iters=2, val_interval=2, val_begin=1)
    elif 'max_epochs' in cfg.train_cfg:
        cfg.train_cfg.max_epochs = 1
    return cfg


def _shrink_step(step: ConfigDict) -> None:
    """Sizes of a transform."""
    if step.type == 'RandomCrop':
        step.crop_size = (SIDE, SIDE)
    elif step.type == 'Pad':
        step.size = (SIDE, SIDE)
    elif step.type in ('RandomResize', 'Resize'):
        step.scale = (step.scale[0] // 10, SIDE)
    elif step.type == 'ResizeShortestEdge':
        step.scale = SIDE
    elif step.type == 'RandomChoiceResize':
        step.scales = [scale // 8 for scale in step.scales]
        if 'max_size' in step:
            step.max_size //= 8


def shrink_search(cfg: Config) -> Config:
    """Makes a search one of a few candidates, without a demand on accuracy.

    Args:
        cfg: The config of a search, changed in place; its networks are those of :func:`shrink`.

    Returns:
        The same.
    """
    search = cfg.train_cfg
    search.update(
        input_hw=(SIDE, SIDE), population=2, generations=1, calibration_batches=1, num_chosen=3, latency_seconds=0.001
    )
    if 'memory_input' in search:
        search.memory_input = (2, (SIDE, SIDE))
    if 'handover' in search:
        search.handover = dict(base_channels=3)
    if 'mIoU' in search.get('bounds', {}):
        search.bounds.mIoU.min = 0
    return cfg
