"""Arguments that several command lines have.

Nothing here loads torch or OpenMMLab, so that ``--help`` need not wait for them.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


class ConfigOptions(argparse.Action):
    """mmengine's action for ``KEY=VALUE``, imported when there are some."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        from mmengine.config import DictAction

        DictAction(self.option_strings, self.dest)(parser, namespace, values, option)


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of every command that takes a config."""
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='where logs and results go; default work_dirs/<config name>')
    parser.add_argument('--data-root', help="folder of the data, in place of the config's data_root")
    parser.add_argument(
        '--cfg-options', nargs='+', action=ConfigOptions, help='overrides, e.g. train_cfg.max_iters=100'
    )


def add_launcher_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of commands that run in several processes."""
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by the launcher')


def add_batch_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do where processes times batch are not the batch that a config's learning rate belongs to."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        '--accumulate',
        action='store_true',
        help='keep the learning rate and reach its batch (auto_scale_lr.base_batch_size): a process takes its share of '
        'it in pieces of train_dataloader.batch_size, whose gradients are added up',
    )
    group.add_argument(
        '--auto-scale-lr', action='store_true', help='keep the batch and scale the learning rate linearly to it'
    )


def add_init_argument(parser: argparse.ArgumentParser) -> None:
    """Whose weights a training begins with."""
    parser.add_argument(
        '--init',
        type=Path,
        metavar='WORK_DIR',
        help="begin with the weights of another job's supernet, or of a checkpoint, of other classes too: what fits is "
        'taken',
    )


def add_workers_argument(parser: argparse.ArgumentParser) -> None:
    """How many processes read images."""
    parser.add_argument(
        '--workers',
        type=_workers,
        metavar='N',
        help="processes that read images for each training process, in place of the config's; auto: its share of the "
        "machine's cores",
    )


def _workers(text: str) -> int | str:
    if text == 'auto' or text.isdecimal():
        return text if text == 'auto' else int(text)
    raise argparse.ArgumentTypeError(f'{text!r}; expected a number from 0 up, or auto')


def add_retraining_arguments(parser: argparse.ArgumentParser) -> None:
    """Which networks are retrained, and how often."""
    parser.add_argument(
        '--random',
        type=int,
        default=0,
        metavar='N',
        help='also train N random networks, each of the cost of a chosen one',
    )
    parser.add_argument(
        '--seeds',
        type=int,
        nargs='+',
        default=[0],
        metavar='S',
        help='train every network once with each of these seeds',
    )


def toy_streets_arguments(description: str, place: str) -> argparse.Namespace:
    """Reads the command line of a converter that draws toy streets.

    Args:
        description: For ``--help``.
        place: The folder that configs expect them in.

    Returns:
        What :func:`~hyctas_mm.datasets.toy.streets.generate_toy_streets` takes.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('root', metavar='OUT_DIR', help=f'e.g. {place}; a set that is there already is kept')
    parser.add_argument('--num-train', type=int, default=96, help='training images, in three cities')
    parser.add_argument('--num-val', type=int, default=32, help='validation images')
    parser.add_argument('--shape', type=int, nargs=2, metavar=('H', 'W'), default=(128, 256), help='size in pixels')
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    args.height, args.width = args.__dict__.pop('shape')
    return args
