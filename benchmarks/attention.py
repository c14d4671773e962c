"""Self-attention beside its naive form (the whole matrix of similarities): time forward and with backward, and peak
memory.

python benchmarks/attention.py [--sizes 80x192 1160x48 8192x128] [--memory 32768x128] [--threads 1] [--device cpu]

Ratios are of interleaved rounds, naive by ours: above 1 ours is faster. Memory is that above inputs and weights, each
form in a process of its own.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from mmengine.device import get_device
from rich.console import Console
from rich.table import Table
from torch import Tensor

from hyctas_mm.costs import PeakMemory, in_fresh_process
from hyctas_mm.models.ops.attention import SelfAttention

SIZES = [
    # IDD-Lite at strides 32, 16 and 8, and crops of it
    *(
        '8x384',
        '32x96',
        '80x192',
        '80x64',
        '300x96',
        '300x32',
        '1160x48',
        '1160x16',
    ),
    *('512x512', '2048x256', '2048x86', '8192x128', '8192x43'),  # Cityscapes at half size
]
LARGEST_MATRIX = 2e9
"""Bytes of similarities above which the naive form, which keeps several such matrices, is not run for its memory."""


def parse_size(text: str) -> tuple[int, int]:
    """Positions and channels of ``'8192x128'``."""
    positions, channels = text.split('x')
    return int(positions), int(channels)


def naive(layer: SelfAttention, x: Tensor) -> Tensor:
    """What the layer computes, by its definition."""
    batch, channels, height, width = x.shape
    query, key, value = (conv(x).flatten(2) for conv in (layer.query, layer.key, layer.value))
    weights = torch.softmax(query.transpose(1, 2) @ key, dim=-1)  # (B, H*W, H*W)
    return layer.gamma * (value @ weights.transpose(1, 2)).view(batch, channels, height, width) + x


def make(positions: int, channels: int, device: str, batch: int) -> tuple[SelfAttention, Tensor]:
    """A layer with gamma 0.5 and an input."""
    torch.manual_seed(0)
    layer = SelfAttention(channels).to(device)
    torch.nn.init.constant_(layer.gamma, 0.5)
    width = max(w for w in range(1, int(positions**0.5) + 1) if positions % w == 0)
    return layer, torch.randn(batch, channels, width, positions // width, device=device)


def step(layer: SelfAttention, form: Callable[[SelfAttention, Tensor], Tensor], x: Tensor, backward: bool) -> None:
    if backward:
        form(layer, x.requires_grad_()).sum().backward()
        return
    with torch.inference_mode():
        form(layer, x.detach())


def seconds(
    layer: SelfAttention,
    form: Callable[[SelfAttention, Tensor], Tensor],
    x: Tensor,
    backward: bool,
    at_least: float = 0.05,
) -> float:
    """Time of one step, from as many as take a twentieth of a second."""
    count, elapsed = 0, 0.0
    _wait(x)
    start = time.perf_counter()
    while elapsed < at_least:
        step(layer, form, x, backward)
        _wait(x)
        count += 1
        elapsed = time.perf_counter() - start
    return elapsed / count


def _wait(x: Tensor) -> None:
    if x.device.type == 'cuda':
        torch.cuda.synchronize(x.device)


def peak_mb(form_name: str, positions: int, channels: int, device: str, threads: int, backward: bool) -> float | None:
    """Peak memory of a step above inputs and weights, in MB; for a process of its own."""
    torch.set_num_threads(threads)
    layer, x = make(positions, channels, device, 1)
    warm_layer, warm_x = make(64, channels, device, 1)
    form = FORMS[form_name]
    step(warm_layer, form, warm_x, backward)
    with PeakMemory(torch.device(device)) as peak:
        step(layer, form, x, backward)
    return None if peak.bytes is None else peak.bytes / 1e6


FORMS: dict[str, Callable[[SelfAttention, Tensor], Tensor]] = {'ours': SelfAttention.__call__, 'naive': naive}


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--sizes', type=parse_size, nargs='+', default=[parse_size(s) for s in SIZES], metavar='POSITIONSxCHANNELS'
    )
    parser.add_argument(
        '--memory', type=parse_size, nargs='*', default=[(8192, 128), (32768, 128)], metavar='POSITIONSxCHANNELS'
    )
    parser.add_argument('--batch', type=int, default=4, help='images (default 4; 1 for memory)')
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--threads', type=int, default=torch.get_num_threads())
    parser.add_argument('--device', default=get_device())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    table = Table(
        'positions', 'channels', 'forward ms', 'naive/ours', 'with backward ms', 'naive/ours', 'largest difference'
    )
    for positions, channels in args.sizes:
        layer, x = make(positions, channels, args.device, args.batch)
        difference = (naive(layer, x) - layer(x)).abs().max() / layer(x).abs().max()
        cells = []
        for backward in (False, True):
            times: dict[str, list[float]] = {name: [] for name in FORMS}
            for _ in range(args.rounds):
                for name, form in FORMS.items():
                    times[name].append(seconds(layer, form, x, backward))
            ratios = [n / o for n, o in zip(times['naive'], times['ours'], strict=True)]
            cells += [f'{statistics.median(times["ours"]) * 1e3:.3g}', f'{statistics.median(ratios):.2f}']
        table.add_row(str(positions), str(channels), *cells, f'{difference:.1e}')
    console = Console(width=160)
    console.print(table)
    table = Table(
        'positions',
        'channels',
        'pass',
        'ours MB',
        'naive MB',
        title='peak memory above inputs and weights',
        title_justify='left',
    )
    for positions, channels in args.memory:
        for backward in (False, True):
            forms = ['ours'] if positions**2 * 4 > LARGEST_MATRIX else ['ours', 'naive']
            found = [
                in_fresh_process(peak_mb, name, positions, channels, args.device, args.threads, backward)
                for name in forms
            ]
            cells = ['–' if mb is None else f'{mb:.0f}' for mb in found]
            cells += [f'not run: matrix of {positions**2 * 4 / 1e6:.0f}'] * (2 - len(forms))
            table.add_row(str(positions), str(channels), 'with backward' if backward else 'forward', *cells)
    console.print(table)


if __name__ == '__main__':
    main()
