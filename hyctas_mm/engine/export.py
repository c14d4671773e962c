"""A subnet as files: ``arch.json``, ``config.py``, ``weights.pth`` and ``arch.svg``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import nn

from hyctas_mm.archs import Architecture
from hyctas_mm.engine.hooks import SampleArchHook
from hyctas_mm.errors import NoSuchFile
from hyctas_mm.files import write_json, write_text
from hyctas_mm.models.subnet import subnet_model_cfg
from hyctas_mm.registry import HOOKS
from hyctas_mm.report.draw_arch import draw_arch_file
from hyctas_mm.version import __version__


def subnet_config(cfg: Config, arch: Architecture, base_channels: int) -> Config:
    """The config that trains and tests the fixed network of ``arch``.

    Args:
        cfg: A training config of the supernet or of any fixed HyCTAS network: its data, schedule and hooks are kept.
        arch: The architecture.
        base_channels: The filter multiplier.
    """
    out: dict[str, Any] = {k: v for k, v in cfg.to_dict().items() if k not in ('search_space', 'arch', 'base_channels')}
    out['model'] = subnet_model_cfg(out['model'], arch, base_channels).to_dict()
    out['custom_hooks'] = [h for h in out.get('custom_hooks') or [] if not _samples(h['type'])]
    out |= dict(load_from=None, resume=False, work_dir=f'work_dirs/{arch.archid}')
    for key in ('launcher', 'find_unused_parameters', 'model_wrapper_cfg'):
        out.pop(key, None)
    return Config(out)


def read_subnet_config(path: str, beside: str | None, data_root: str | None) -> Config:
    """The training config that exported networks take after, reading its data where the search does.

    Args:
        path: Seen from the working directory, or from the search's config.
        beside: The search's config file.
        data_root: The search's folder of data.

    Raises:
        FileNotFoundError: If it is at neither place.
    """
    places = [Path(path), Path(beside or '.').parent / path]
    found = next((p for p in places if p.is_file()), None)
    if found is None:
        raise NoSuchFile(
            f'train_cfg: no subnet_config {path}, neither in the working directory nor beside the search config; name '
            'the training config of a '
            'fixed network'
        )
    cfg = Config.fromfile(found)
    if data_root:
        set_data_root(cfg, str(Path(data_root).resolve()))
    return cfg


def set_data_root(cfg: Config, root: str) -> None:
    """Puts another folder in the place of every dataset's ``data_root``."""
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if cfg.get(loader):
            cfg[loader]['dataset']['data_root'] = root


def _samples(hook: str) -> bool:
    """Whether a hook chooses architectures of a supernet."""
    cls = HOOKS.get(hook)
    return isinstance(cls, type) and issubclass(cls, SampleArchHook)


def plain_metainfo(metainfo: Mapping[str, Any]) -> dict[str, Any]:
    """What of a data set's metainfo names and colours its classes, for a checkpoint's ``dataset_meta``, which
    inference reads.
    """
    keys = ('classes', 'palette', 'thing_classes', 'stuff_classes')
    return {
        key: [list(map(int, v)) if key == 'palette' else str(v) for v in metainfo[key]]
        for key in keys
        if metainfo.get(key)
    }


def export_subnet(
    folder: str | Path,
    subnet: nn.Module | None,
    cfg: Config,
    arch: Architecture,
    base_channels: int,
    metainfo: Mapping[str, Any] | None = None,
) -> Path:
    """Writes a subnet's files.

    Args:
        folder: Made if missing; files of the same names are replaced.
        subnet: The fixed network with its weights; None leaves ``weights.pth`` out.
        cfg: See :func:`subnet_config`.
        arch: Its architecture.
        base_channels: The filter multiplier.
        metainfo: Of the data set, for the checkpoint.

    Returns:
        The folder. ``config.py`` runs as it is with ``mim train`` and ``mim test`` of mmseg, or for panoptic networks
        mmdetection; ``weights.pth`` loads with ``weights_only=True``.
    """
    folder = write_architecture(folder, cfg, arch, base_channels)
    if subnet is None:
        return folder
    meta: dict[str, Any] = dict(hyctas_mm_version=__version__, archid=arch.archid)
    if metainfo:
        meta['dataset_meta'] = plain_metainfo(metainfo)
    torch.save(dict(meta=meta, state_dict={k: v.cpu() for k, v in subnet.state_dict().items()}), folder / 'weights.pth')
    return folder


def write_architecture(folder: str | Path, cfg: Config, arch: Architecture, base_channels: int) -> Path:
    """Writes the files of :func:`export_subnet` that need no weights."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / 'arch.json', arch.to_dict())
    write_text(folder / 'config.py', subnet_config(cfg, arch, base_channels).pretty_text)
    draw_arch_file(arch, folder / 'arch.svg', base_channels)
    return folder
