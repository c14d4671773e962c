"""How the command lines in ``tools/`` open configs and build runners; their arguments are in :mod:`hyctas_mm.cli`."""

from __future__ import annotations

import argparse
import os
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
from hyctas_mm.models.data_preprocessor import LeanSegDataPreProcessor
from hyctas_mm.registry import LOOPS, MODELS

MPI_LOCAL_RANK = 'OMPI_COMM_WORLD_LOCAL_RANK'
LOCAL_RANKS = dict(pytorch='LOCAL_RANK', slurm='SLURM_LOCALID', mpi=MPI_LOCAL_RANK)
"""Where launchers tell a process its number on its machine."""


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
    here. Its wrapper reads ``LOCAL_RANK``, which its start by MPI does not set.

    Args:
        cfg: The config, changed in place.
        launcher: ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.

    Raises:
        ValueError: If MPI's variables are missing, or the process has no GPU of its own.
    """
    cfg.launcher = launcher
    if launcher == 'mpi':
        missing = [name for name in (MPI_LOCAL_RANK, 'MASTER_ADDR') if name not in os.environ]
        if missing:
            raise BadValue(
                f'--launcher mpi: {" and ".join(missing)} not set; start with mpirun of Open MPI and '
                '-x MASTER_ADDR=HOST_OF_THE_FIRST_PROCESS, or use torchrun and --launcher pytorch'
            )
        os.environ['LOCAL_RANK'] = os.environ[MPI_LOCAL_RANK]
    if launcher != 'none' and torch.cuda.is_available():
        _check_own_gpu(launcher)
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


def _check_own_gpu(launcher: str) -> None:
    rank, count = int(os.environ.get(LOCAL_RANKS[launcher], 0)), torch.cuda.device_count()
    if rank >= count:
        raise BadValue(
            f'--launcher {launcher}: process {rank} of this machine, counted from 0, sees {count} GPU(s), and takes '
            'the one of its number; start no more processes than GPUs and show each of them all, under Slurm by '
            '--gres=gpu:4 for four tasks a node'
        )


def set_workers(cfg: Config, workers: int | None = None) -> None:
    """Gives each data loader of a training so many processes that read and augment, and keeps these alive.

    Args:
        cfg: The config, changed in place.
        workers: How many; None for this process's share of the machine's cores but one, 16 at most.
    """
    if workers is None:
        processes = os.environ.get('LOCAL_WORLD_SIZE', '1')  # of torchrun, within a task of Slurm too
        cores = os.environ.get('SLURM_CPUS_PER_TASK')
        if cores is None:
            processes = os.environ.get('OMPI_COMM_WORLD_LOCAL_SIZE', processes)
            cores = str(len(os.sched_getaffinity(0)))
        workers = max(1, min(16, int(cores) // int(processes) - 1))
    for part in ('train', 'val', 'test'):
        if loader := cfg.get(f'{part}_dataloader'):
            loader.update(num_workers=workers, persistent_workers=workers > 0)


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


def _check_labels(cfg: Config) -> None:
    """Labels that travel as bytes want the preprocessor that makes them what mmseg's losses take."""
    dataset = (cfg.get('train_dataloader') or {}).get('dataset', {})
    name = (cfg.model.get('data_preprocessor') or {}).get('type')
    kind = name if isinstance(name, type) else MODELS.get(str(name))
    lean = any(step.get('type') == 'LeanPackSegInputs' for step in dataset.get('pipeline', ()))
    if lean and not (kind and issubclass(kind, LeanSegDataPreProcessor)):
        raise BadValue(
            f"model.data_preprocessor is {name!r}, but train_dataloader's pipeline ends with LeanPackSegInputs, whose "
            "labels are bytes: take type='LeanSegDataPreProcessor', or 'PackSegInputs' at the end of the pipeline"
        )


def build_runner(cfg: Config, *parts: str) -> Runner:
    """A runner, after a look at the folders of its data: mmengine's own errors about an empty one name nothing.

    In one process it pauses while another one times networks. Where there is a GPU, batches are read into pinned
    memory, from which they are copied while it computes; ``pin_memory=False`` of a loader forbids that.

    Args:
        cfg: The config.
        *parts: Which data it will use, of ``'train'``, ``'val'``, ``'test'``.

    Raises:
        FileNotFoundError: Naming the folder without images and what to set.
        ValueError: For labels as bytes and a preprocessor that takes none.
    """
    use_scope(cfg)
    if 'train' in parts:
        _check_labels(cfg)
    for part in parts:
        loader = cfg.get(f'{part}_dataloader')
        if loader:
            check_images(loader['dataset'], f'{part}_dataloader')
            if torch.cuda.is_available():
                loader.setdefault('pin_memory', True)
    runner = Runner.from_cfg(cfg)
    if get_world_size() == 1:
        runner.register_hook(PauseHook())
    return runner
