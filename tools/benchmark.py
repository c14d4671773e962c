"""Params, MACs and measured latency of networks, in one interleaved run."""

from __future__ import annotations

import argparse
import statistics
import warnings

import torch
from mmcv.cnn.utils import fuse_conv_bn
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import MODELS
from mmseg.utils import register_all_modules
from rich.console import Console
from rich.table import Table

from hyctas_mm.costs import count_macs, count_params, device_name, measure_latency
from hyctas_mm.models.subnet import drop_training_parts


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('configs', nargs='+', help='configs of networks')
    parser.add_argument('--shape', type=int, nargs=2, metavar=('H', 'W'), required=True, help='input height and width')
    parser.add_argument('--device', default=get_device())
    parser.add_argument('--seconds', type=float, default=6.0, help='time to measure each network (paper: 6)')
    parser.add_argument('--rounds', type=int, default=6, help='rounds that the time is split over, each visiting every network')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    warnings.filterwarnings('ignore')
    register_all_modules()
    device, shape = torch.device(args.device), (1, 3, *args.shape)
    image = torch.rand(*shape, device=device)
    cfgs = [Config.fromfile(path).model for path in args.configs]
    nets = [fuse_conv_bn(drop_training_parts(MODELS.build(cfg)).eval()).to(device) for cfg in cfgs]
    rounds: list[list[float]] = [[] for _ in nets]
    for _ in range(args.rounds):
        for net, times in zip(nets, rounds, strict=True):
            seconds = args.seconds / args.rounds
            times.append(measure_latency(lambda net=net: net(image), device, seconds, seconds / 4).median_ms)
    table = Table('config', 'params M', 'GMACs', 'of it attention', 'latency ms', 'min..max of rounds', 'FPS')
    for path, cfg, times in zip(args.configs, cfgs, rounds, strict=True):
        with torch.device('meta'):
            bare = drop_training_parts(MODELS.build(cfg)).eval()
        macs, middle = count_macs(bare, shape), statistics.median(times)
        numbers = [f'{count_params(bare) / 1e6:.3f}', f'{macs.total_g:.3f}', f'{macs.attention / 1e9:.3f}', f'{middle:.2f}']
        table.add_row(path, *numbers, f'{min(times):.2f}..{max(times):.2f}', f'{1e3 / middle:.1f}')
    Console().print(table)
    print(f'{device_name(device)}, {torch.get_num_threads()} threads, torch {torch.__version__}, input {"x".join(map(str, shape))}')


if __name__ == '__main__':
    main()
