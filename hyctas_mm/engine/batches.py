"""The batch that a config's learning rate belongs to, on any number of processes."""

from __future__ import annotations

import os
import sys

from mmengine.config import Config
from mmengine.dist import get_rank, get_world_size, is_distributed

from hyctas_mm.errors import BadValue

ACCUMULATING = dict(IterBasedTrainLoop='AccumulatingIterLoop', EpochBasedTrainLoop='AccumulatingEpochLoop')
"""Loops of mmengine, and ours that take a batch in pieces."""
_VARIABLES = dict(
    pytorch=('WORLD_SIZE', 'RANK'),
    slurm=('SLURM_NTASKS', 'SLURM_PROCID'),
    mpi=('OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_RANK'),
)


def fit_batch(cfg: Config, accumulate: bool = False, auto_scale_lr: bool = False) -> None:
    """Makes ``train_dataloader.batch_size``, images of a process, and the learning rate fit each other on the present
    number of processes.

    A config says in ``auto_scale_lr.base_batch_size`` how many images of a step its learning rate belongs to. With
    neither argument, nothing changes, but a difference is said in a line.

    Args:
        cfg: The config of a training, its ``launcher`` set; changed in place.
        accumulate: Reach that batch: each process takes its share of it, in pieces of at most ``batch_size`` images
            that :mod:`~hyctas_mm.engine.accumulation` adds up.
        auto_scale_lr: Leave the batch and let mmengine's Runner scale the learning rate linearly.

    Raises:
        ValueError: If the batch cannot be reached exactly, or the config says nothing of it.
    """
    world, rank = _processes(cfg.get('launcher', 'none'))
    base = (cfg.get('auto_scale_lr') or {}).get('base_batch_size')
    loop = (cfg.get('train_cfg') or {}).get('type')
    if base is None or loop not in (*ACCUMULATING, *ACCUMULATING.values()):
        if accumulate or auto_scale_lr:
            raise BadValue(
                f'--{"accumulate" if accumulate else "auto-scale-lr"}: auto_scale_lr.base_batch_size={base} and '
                f'train_cfg.type={loop!r}; expected the config of a training that says how many images its learning '
                'rate belongs to'
            )
        return
    batch = cfg.train_dataloader.batch_size
    if accumulate:
        _reach(cfg, base, world)
    elif auto_scale_lr:
        cfg.auto_scale_lr.enable = True
    elif world * batch != base and not cfg.auto_scale_lr.get('enable') and rank == 0:
        print(
            f'note: {world} process(es) with {batch} images each make steps of {world * batch}; the learning rate '
            f'belongs to {base} (auto_scale_lr.base_batch_size): --accumulate reaches that, --auto-scale-lr scales the '
            'rate',
            file=sys.stderr,
        )


def _reach(cfg: Config, base: int, world: int) -> None:
    """Gives each process its share of the base batch."""
    batch = cfg.train_dataloader.batch_size
    share, rest = divmod(base, world)
    if rest or (share > batch and share % batch):
        raise BadValue(
            f'a batch of {base} (auto_scale_lr.base_batch_size) does not divide among {world} process(es) in pieces of '
            f'{batch} (train_dataloader.batch_size); expected a number of processes that divides {base}, and pieces '
            'that divide the share of each: change either'
        )
    cfg.train_dataloader.batch_size = share
    if share > batch:
        cfg.optim_wrapper.accumulative_counts = share // batch
        cfg.train_dataloader.drop_last = True  # what is left of an epoch need not divide
        cfg.train_cfg.type = ACCUMULATING.get(cfg.train_cfg.type, cfg.train_cfg.type)


def _processes(launcher: str) -> tuple[int, int]:
    """Number of processes and this one's, also where mmengine has yet to make their group."""
    if is_distributed() or launcher == 'none':
        return get_world_size(), get_rank()
    size, rank = (int(os.environ.get(name, default)) for name, default in zip(_VARIABLES[launcher], '10', strict=True))
    return size, rank
