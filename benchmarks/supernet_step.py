"""A training step of the supernet with an architecture beside the same step of that fixed network: loss, backward
pass, optimizer.

python benchmarks/supernet_step.py [CONFIG] [--archs 3] [--batch 8] [--rounds 7] [--threads 1] [--device cpu]

Ratios are medians over interleaved rounds, supernet by subnet: 1.10 is a tenth more time.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.optim import build_optim_wrapper
from rich.console import Console
from rich.table import Table
from torch import nn

from hyctas_mm.archs import Architecture, SearchSpace
from hyctas_mm.archs.extremes import largest, smallest
from hyctas_mm.engine.candidate_costs import training_loss, training_network
from hyctas_mm.engine.configs import use_scope
from hyctas_mm.models.subnet import set_arch, subnet_model_cfg

CONFIG = 'configs/hyctas/idd_lite/hyctas_supernet_1xb8-4k_idd-lite-160x224.py'


def prepare(model_cfg: dict, cfg: Config, device: torch.device, batch: int) -> tuple[nn.Module, Callable[[], None]]:
    """A network in training, and one step of it on blank images."""
    with torch.device(device):
        model = training_network(model_cfg)
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
    crop_hw = tuple(cfg.model.data_preprocessor.size)

    def step() -> None:
        with torch.device(device):
            loss = training_loss(model, batch, crop_hw)
        optimizer.update_params(loss)
        if device.type == 'cuda':
            torch.cuda.synchronize(device)

    return model, step


def seconds(function: Callable[[], None]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', nargs='?', default=CONFIG, help=f'config of a supernet (default {CONFIG})')
    parser.add_argument(
        '--archs', type=int, default=3, help='random architectures beside the smallest and the largest (default 3)'
    )
    parser.add_argument('--batch', type=int, default=8)
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--threads', type=int, default=torch.get_num_threads())
    parser.add_argument('--device', default=get_device())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    cfg, device = Config.fromfile(args.config), torch.device(args.device)
    use_scope(cfg)
    space, rng = SearchSpace.from_dict(cfg.model.backbone.search_space), np.random.default_rng(0)
    supernet, supernet_step = prepare(cfg.model.to_dict(), cfg, device, args.batch)
    archs: dict[str, Architecture] = {'smallest': smallest(space, rng), 'largest': largest(space, rng)}
    archs |= {f'random {n}': space.sample(rng) for n in range(args.archs)}
    table = Table('architecture', 'branches', 'supernet ms', 'subnet ms', 'ratio', 'ratios of rounds')
    for name, arch in archs.items():
        _, subnet_step = prepare(subnet_model_cfg(cfg.model.to_dict(), arch), cfg, device, args.batch)
        times: dict[str, list[float]] = dict(supernet=[], subnet=[])
        for number in range(args.rounds + 1):
            set_arch(supernet, arch)
            for key, step in (('supernet', supernet_step), ('subnet', subnet_step)):
                elapsed = seconds(step)
                if number:  # the first warms up
                    times[key].append(elapsed)
        ratios = [a / b for a, b in zip(times['supernet'], times['subnet'], strict=True)]
        medians = [f'{statistics.median(found) * 1e3:.1f}' for found in times.values()]
        table.add_row(
            name,
            str(len(arch.branches)),
            *medians,
            f'{statistics.median(ratios):.3f}',
            f'{min(ratios):.2f}..{max(ratios):.2f}',
        )
    Console(width=120).print(table)


if __name__ == '__main__':
    main()
