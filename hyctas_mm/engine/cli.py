"""What the command lines in ``tools/`` share."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import torch.distributed as dist
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of every command that takes a config."""
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='where logs and results go; default work_dirs/<config name>')
    parser.add_argument('--data-root', help="folder of the data, in place of the config's data_root")
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='overrides, e.g. train_cfg.max_iters=100')


def use_scope(cfg: Config) -> None:
    """Makes the config's ``default_scope`` (mmseg or mmdet) the one that names are looked up in, as mmengine's Runner does."""
    init_default_scope(cfg.get('default_scope', 'mmseg'))


def use_launcher(cfg: Config, launcher: str) -> None:
    """Makes a config run under a launcher, on machines without a GPU too.

    mmengine's start of the processes and its wrapper of the model name a GPU in any case; without one both are done here.

    Args:
        cfg: The config, changed in place.
        launcher: ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.
    """
    cfg.launcher = launcher
    if launcher == 'pytorch' and not torch.cuda.is_available():
        if not dist.is_initialized():
            dist.init_process_group('gloo')
        unused = cfg.get('find_unused_parameters', False)
        cfg.setdefault('model_wrapper_cfg', dict(type='MMDistributedDataParallel', device_ids=None, find_unused_parameters=unused))


def load_config(args: argparse.Namespace) -> Config:
    """The config with the command line's overrides."""
    cfg = Config.fromfile(args.config)
    if args.data_root:
        set_data_root(cfg, args.data_root)
    if args.cfg_options:
        cfg.merge_from_dict(args.cfg_options)
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or str(Path('work_dirs') / Path(args.config).stem)
    return cfg


def set_data_root(cfg: Config, root: str) -> None:
    """Puts another folder in the place of every dataset's ``data_root``."""
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if cfg.get(loader):
            cfg[loader]['dataset']['data_root'] = root
