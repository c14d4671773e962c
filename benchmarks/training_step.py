"""A training step of three networks as the recipe does it, beside the same step of plain mmengine and mmseg parts.

python benchmarks/training_step.py [--each] [--rounds 9] [--steps 4] [--threads 1] [--networks small supernet ...]
python benchmarks/training_step.py --curves 60 [--seeds 0 1] [--networks ...]

A step is all that a training does: reading and augmenting the images in the same process, preprocessing, loss, backward
pass, optimizer, hooks; its time is the processor's, which waiting does not lengthen. Decoded images are in memory where
the recipe keeps them, as from its second pass over the data on; in the first it takes as long as without `cached
images`. `--each` adds the recipe without one of its parts at a time. Ratios are medians over interleaved rounds.

`--curves` trains instead: means of the main loss over ten steps each, all variants with equal samples; `disturbed` is
plain, from weights of which each is changed by about a part in a million.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from rich.console import Console
from rich.table import Table

from hyctas_mm.engine.configs import build_runner

CONFIG, SUPERNET = 'configs/evidence/idd_lite_subnet.py', 'configs/evidence/idd_lite_supernet.py'
NETWORKS = dict(small=('dab290ae2ff3', 6), medium=('7efcb57ff733', 6), large=('785b95592e9d', 10))
"""Architecture in docs/results/archs and base channels: 0.06, 0.31 and 1.04 GMACs at 227x320."""


def read_recipe(network: str) -> Config:
    cfg = Config.fromfile(CONFIG if network in NETWORKS else SUPERNET)
    if network in NETWORKS:
        archid, base_channels = NETWORKS[network]
        for part in (cfg.model.backbone, cfg.model.decode_head):
            part.update(arch=f'docs/results/archs/{archid}.json', base_channels=base_channels)
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.update(log_level='ERROR', work_dir=tempfile.mkdtemp())
    return cfg


# What the recipe has and plain parts have not -------------------------------------------------------------------------


def decode_always(cfg: Config) -> None:
    dataset = cfg.train_dataloader.dataset
    cached, *rest = dataset.pipeline
    dataset.pipeline = [*cached.transforms, *rest]


def augment_as_mmseg(cfg: Config) -> None:
    for step in cfg.train_dataloader.dataset.pipeline:
        step.type = step.type.removeprefix('Lean')
    cfg.model.data_preprocessor.type = cfg.model.data_preprocessor.type.removeprefix('Lean')


def upsample_then_loss(cfg: Config) -> None:
    cfg.model.decode_head.loss_decode.type = 'CrossEntropyLoss'


def channels_first(cfg: Config) -> None:
    del cfg.default_hooks.channels_last


def float32(cfg: Config) -> None:
    cfg.optim_wrapper.type = 'OptimWrapper'


UNDO: dict[str, Callable[[Config], None]] = {
    'cached images': decode_always,
    'lean augmentation': augment_as_mmseg,
    'upsampling in the loss': upsample_then_loss,
    'channels-last': channels_first,
    'bfloat16': float32,
}


def variants(recipe: Config, each: bool) -> dict[str, Config]:
    """The recipe, plain, and on demand the recipe without each part."""
    found = dict(recipe=recipe, plain=copy.deepcopy(recipe))
    for undo in UNDO.values():
        undo(found['plain'])
    for name, undo in UNDO.items() if each else ():
        found[f'recipe without {name}'] = without = copy.deepcopy(recipe)
        undo(without)
    return found


# Timing ---------------------------------------------------------------------------------------------------------------


def begin(cfg: Config) -> Runner:
    """A training before its first step, with every cached image in memory."""
    runner = build_runner(cfg, 'train')
    runner._train_loop = loop = runner.build_train_loop(cfg.train_cfg)
    runner.optim_wrapper = runner.build_optim_wrapper(cfg.optim_wrapper)
    runner.param_schedulers = runner.build_param_scheduler(cfg.param_scheduler)
    runner.model.init_weights()
    dataset = loop.dataloader.dataset
    dataset.full_init()
    for index in range(len(dataset)):
        dataset.pipeline.transforms[0](dataset.get_data_info(index))
    for point in ('before_run', 'before_train', 'before_train_epoch'):
        runner.call_hook(point)
    runner.model.train()
    return runner


def seconds(runner: Runner, steps: int) -> float:
    start = time.process_time()
    for _ in range(steps):
        runner.train_loop.run_iter(next(runner.train_loop.dataloader_iterator))
    return (time.process_time() - start) / steps


class Losses(Hook):
    """Notes the main loss of each step."""

    def __init__(self) -> None:
        self.found: list[float] = []

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        self.found.append(float(outputs['decode.loss_ce']))


def curve(cfg: Config, seed: int, steps: int, disturbance: float) -> list[float]:
    """Means over ten steps each."""
    cfg = copy.deepcopy(cfg)
    cfg.randomness = dict(seed=seed)
    runner, losses = begin(cfg), Losses()
    runner.register_hook(losses)
    with torch.no_grad():
        for weight in runner.model.parameters() if disturbance else ():
            weight *= 1 + disturbance * torch.randn_like(weight)
    seconds(runner, steps)
    return [statistics.mean(losses.found[first : first + 10]) for first in range(0, steps, 10)]


def speeds(args: argparse.Namespace) -> Table:
    table = Table('network', 'variant', 'ms', 'images/s', 'recipe is faster', 'rounds')
    for network in args.networks:
        runners = {name: begin(cfg) for name, cfg in variants(read_recipe(network), args.each).items()}
        times: dict[str, list[float]] = {name: [] for name in runners}
        for number in range(args.rounds + 1):
            for name, runner in runners.items():
                elapsed = seconds(runner, args.steps)
                if number:  # the first warms up
                    times[name].append(elapsed)
        batch = runners['recipe'].train_dataloader.batch_size
        for name, found in times.items():
            median, ratios = statistics.median(found), [a / b for a, b in zip(found, times['recipe'], strict=True)]
            spread = f'{min(ratios):.2f}..{max(ratios):.2f}'
            row = (f'{median * 1e3:.1f}', f'{batch / median:.0f}', f'{statistics.median(ratios):.2f}', spread)
            table.add_row(network, name, *row)
    return table


def curves(args: argparse.Namespace) -> Table:
    table = Table('network', 'seed', 'variant', *(f'..{min(n + 10, args.curves)}' for n in range(0, args.curves, 10)))
    for network, seed in itertools.product(args.networks, args.seeds):
        cfgs = variants(read_recipe(network), each=False)
        for name, cfg in (cfgs | dict(disturbed=cfgs['plain'])).items():
            means = curve(cfg, seed, args.curves, 1e-6 if name == 'disturbed' else 0)
            table.add_row(network, str(seed), name, *(f'{mean:.3f}' for mean in means))
    return table


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--each', action='store_true', help='add the recipe without each of its parts')
    parser.add_argument('--rounds', type=int, default=9)
    parser.add_argument('--steps', type=int, default=4, help='steps of each variant in a round (default 4)')
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--networks', nargs='+', choices=[*NETWORKS, 'supernet'], default=list(NETWORKS))
    parser.add_argument('--curves', type=int, help='train for so many steps and print losses in place of times')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0], help='of the curves (default 0)')
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    Console(width=120).print(curves(args) if args.curves else speeds(args))


if __name__ == '__main__':
    main()
