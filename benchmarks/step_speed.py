"""Images a second of training steps, in float32 and bfloat16, with maps channels-first and channels-last.

python benchmarks/step_speed.py [CONFIG...] [--batch 16] [--rounds 5] [--steps 5] [--device cuda]

A step is loss, backward pass and optimizer on blank images of the config's crops that are on the device already; a
supernet trains one random architecture in each, the same ones for every variant. Rounds are interleaved.
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

from hyctas_mm import register_all_modules
from hyctas_mm.engine.candidate_costs import training_loss, training_network
from hyctas_mm.engine.configs import use_scope
from hyctas_mm.engine.hooks.sample_arch_hook import supernet_space
from hyctas_mm.models import set_arch

FOLDER = 'configs/hyctas/cityscapes'
CONFIGS = [
    f'{FOLDER}/hyctas_supernet_1xb16-600e_cityscapes-256x512.py',
    f'{FOLDER}/hyctas-s_4xb8-186k_cityscapes-512x1024.py',
]
VARIANTS = {
    'float32': ('OptimWrapper', torch.contiguous_format),
    'float32, channels-last': ('OptimWrapper', torch.channels_last),
    'bfloat16': ('Bfloat16OptimWrapper', torch.contiguous_format),
    'bfloat16, channels-last': ('Bfloat16OptimWrapper', torch.channels_last),
}


def prepare(cfg: Config, variant: str, batch: int, device: torch.device) -> Callable[[int], float]:
    """Seconds of so many steps, as a function."""
    wrapper, layout = VARIANTS[variant]
    torch.manual_seed(0)
    with torch.device(device):
        model = training_network(cfg.model.to_dict()).to(memory_format=layout)
    steps = build_optim_wrapper(model, dict(cfg.optim_wrapper.to_dict(), type=wrapper))
    crop_hw = tuple(cfg.model.data_preprocessor.size)
    space = supernet_space(model) if 'search_space' in cfg.model.backbone else None

    def run(count: int) -> float:
        rng = np.random.default_rng(0)
        start = time.perf_counter()
        for _ in range(count):
            if space is not None:
                set_arch(model, space.sample(rng))
            with torch.device(device), steps.optim_context(model):
                loss = training_loss(model, batch, crop_hw)
            steps.update_params(loss)
        if device.type == 'cuda':
            torch.cuda.synchronize(device)
        return time.perf_counter() - start

    return run


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('configs', nargs='*', default=CONFIGS, help='configs of trainings (default: supernet and S)')
    parser.add_argument('--batch', type=int, help="images of a step (default: the config's)")
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--steps', type=int, default=5, help='of a round (default 5)')
    parser.add_argument('--threads', type=int, default=torch.get_num_threads())
    parser.add_argument('--device', default=get_device())
    args = parser.parse_args()
    register_all_modules()
    torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    torch.backends.cudnn.benchmark = True  # as the configs have it
    table = Table('config', 'variant', 'images a step', 'images/s', 'of each round', 'GB')
    for path in args.configs:
        cfg = Config.fromfile(path)
        use_scope(cfg)
        batch = args.batch or cfg.train_dataloader.batch_size
        runs, speeds, memory = {}, {name: [] for name in VARIANTS}, {}
        for name in VARIANTS:
            if device.type == 'cuda':
                torch.cuda.reset_peak_memory_stats(device)
                before = torch.cuda.memory_allocated(device)
            runs[name] = prepare(cfg, name, batch, device)
            runs[name](args.steps)  # warms up
            memory[name] = '-'
            if device.type == 'cuda':
                memory[name] = f'{(torch.cuda.max_memory_allocated(device) - before) / 1e9:.1f}'
        for _ in range(args.rounds):
            for name, run in runs.items():
                speeds[name].append(args.steps * batch / run(args.steps))
        for name, found in speeds.items():
            row = (f'{statistics.median(found):.1f}', f'{min(found):.1f}..{max(found):.1f}', memory[name])
            table.add_row(path.rsplit('/', 1)[-1], name, str(batch), *row)
    Console(width=160).print(table)


if __name__ == '__main__':
    main()
