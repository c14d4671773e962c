"""How the command lines in ``tools/`` open configs and build runners; their arguments are in :mod:`hyctas_mm.cli`."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.dist import get_world_size, init_dist
from mmengine.registry import init_default_scope
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner

from hyctas_mm.datasets.checks import check_images
from hyctas_mm.engine.export import set_data_root
from hyctas_mm.engine.hooks.pause_hook import PauseHook
from hyctas_mm.errors import BadValue, NoSuchFile
from hyctas_mm.registry import LOOPS


def use_scope(cfg: Config) -> None:
    """Makes the config's ``default_scope`` (mmseg or mmdet) the one that names are looked up in, as mmengine's Runner
    does.
    """
    init_default_scope(cfg.get('default_scope', 'mmseg'))


def start_processes(launcher: str, device: int = 0) -> None:
    """Makes this process one of a launcher's, before there is a runner; without one, chooses its GPU.

    Args:
        launcher: As for :func:`use_launcher`.
        device: Which GPU is taken where there are several, counted round.
    """
    if launcher == 'none':
        if torch.cuda.device_count() > 1:
            torch.cuda.set_device(device % torch.cuda.device_count())
    elif torch.cuda.is_available():
        init_dist(launcher, backend='nccl')
    else:
        use_launcher(Config(), launcher)


def use_launcher(cfg: Config, launcher: str) -> None:
    """Makes a config run under a launcher, on machines without a GPU too.

    mmengine's start of the processes and its wrapper of the model name a GPU in any case; without one both are done
    here.

    Args:
        cfg: The config, changed in place.
        launcher: ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.
    """
    cfg.launcher = launcher
    if launcher == 'pytorch' and not torch.cuda.is_available():
        if not dist.is_initialized():
            dist.init_process_group('gloo')
        unused = cfg.get('find_unused_parameters', False)
        cfg.setdefault(
            'model_wrapper_cfg',
            dict(
                type='MMDistributedDataParallel',
                device_ids=None,
                broadcast_buffers=False,
                find_unused_parameters=unused,
            ),
        )


def read_config(path: str | Path) -> Config:
    """A config file.

    Raises:
        FileNotFoundError: If there is none.
    """
    if not Path(path).is_file():
        raise NoSuchFile(
            f'no config {path}; give the path of a config file, e.g. one of configs/, seen from {Path.cwd()}'
        )
    return Config.fromfile(path)


def check_is_search(cfg: Config) -> None:
    """Refuses a config that is none of a search.

    Raises:
        ValueError: Naming what its ``train_cfg`` is.
    """
    kind = (cfg.get('train_cfg') or {}).get('type')
    loop = LOOPS.get(kind) if isinstance(kind, str) else kind
    if not isinstance(loop, type) or issubclass(loop, (EpochBasedTrainLoop, IterBasedTrainLoop)):
        raise BadValue(
            f"{cfg.filename} is not a search config: its train_cfg is {kind!r}, expected 'SearchLoop', "
            "'NSGA2SearchLoop' or a search loop of your "
            'own; give the config of a search'
        )


def set_supernet(cfg: Config, path: str | Path) -> bool:
    """Gives a search the checkpoint of its supernet, where its loop or its evaluator takes one; returns whether any
    does.
    """
    place = cfg.train_cfg.get('evaluator', cfg.train_cfg)
    takes = place is cfg.train_cfg or 'supernet' in place
    if takes:
        place['supernet'] = str(path)
    return takes


def load_config(args: argparse.Namespace) -> Config:
    """The config with the command line's overrides.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    cfg = read_config(args.config)
    if args.data_root:
        set_data_root(cfg, args.data_root)
    if args.cfg_options:
        cfg.merge_from_dict(args.cfg_options)
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or str(Path('work_dirs') / Path(args.config).stem)
    return cfg


def build_runner(cfg: Config, *parts: str) -> Runner:
    """A runner, after a look at the folders of its data: mmengine's own errors about an empty one name nothing.

    In one process it pauses while another one times networks.

    Args:
        cfg: The config.
        *parts: Which data it will use, of ``'train'``, ``'val'``, ``'test'``.

    Raises:
        FileNotFoundError: Naming the folder without images and what to set.
    """
    use_scope(cfg)
    for part in parts:
        loader = cfg.get(f'{part}_dataloader')
        if loader:
            check_images(loader['dataset'], f'{part}_dataloader')
    runner = Runner.from_cfg(cfg)
    if get_world_size() == 1:
        runner.register_hook(PauseHook())
    return runner
