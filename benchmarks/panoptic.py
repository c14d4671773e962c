"""What panoptic post-processing and the metric cost: grouping beside the network's forward pass, and the metric by
itself.

python benchmarks/panoptic.py [--arch hyctas-l] [--base-channels 16] [--config CONFIG] [--shape 1024 2048]
                              [--instances 100] [--rounds 3] [--device cpu]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from mmcv.cnn.utils import fuse_conv_bn
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import MODELS, init_default_scope

import hyctas_mm.register  # noqa: F401
from hyctas_mm.archs import load_arch
from hyctas_mm.evaluation import PanopticQuality
from hyctas_mm.models.post_processing import panoptic_from_maps
from hyctas_mm.models.subnet import drop_training_parts

THINGS, STUFF = 8, 11


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--arch', default='hyctas-l')
    parser.add_argument('--base-channels', type=int, default=16)
    parser.add_argument('--config', help='times the network of this config in place of --arch')
    parser.add_argument('--shape', type=int, nargs=2, default=(1024, 2048), metavar=('H', 'W'))
    parser.add_argument('--instances', type=int, default=100)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--device', default=get_device())
    return parser.parse_args()


def network(args: argparse.Namespace) -> torch.nn.Module:
    if args.config:
        model = MODELS.build(Config.fromfile(args.config).model)
        return fuse_conv_bn(drop_training_parts(model).eval()).to(args.device)
    arch = load_arch(args.arch).to_dict()
    shared = dict(arch=arch, base_channels=args.base_channels)
    head = dict(type='HyCTASPanopticHead', num_things_classes=THINGS, num_stuff_classes=STUFF, aux_weight=0, **shared)
    cfg = dict(
        type='PanopticDeepLab', backbone=dict(type='HyCTASBackbone', outputs='branches', **shared), panoptic_head=head
    )
    return fuse_conv_bn(drop_training_parts(MODELS.build(cfg)).eval()).to(args.device)


def scene(height: int, width: int, instances: int, device: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Maps of a grid of discs of thing classes on bands of stuff, slightly noisy, as (C, H, W), (1, H, W), (2, H,
    W).
    """
    generator = torch.Generator().manual_seed(0)
    columns = max(1, round((instances * width / height) ** 0.5))
    rows = -(-instances // columns)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
    semantic = THINGS + y * STUFF // height
    center, offset = torch.zeros(1, height, width), torch.zeros(2, height, width)
    radius = 0.37 * min(height / rows, width / columns)
    for number in range(instances):
        row, column = (number // columns + 0.5) * height / rows, (number % columns + 0.5) * width / columns
        squared = (y - row) ** 2 + (x - column) ** 2
        inside = squared < radius**2
        semantic[inside] = number % THINGS
        offset[0][inside], offset[1][inside] = (row - y)[inside].float(), (column - x)[inside].float()
        center[0] = torch.maximum(center[0], torch.exp(-squared / 200))
    logits = torch.nn.functional.one_hot(semantic, THINGS + STUFF).permute(2, 0, 1) * 4.0  # (H, W, C) -> (C, H, W)
    logits += torch.randn(logits.shape, generator=generator)
    center += 0.02 * torch.rand(center.shape, generator=generator)
    return logits.to(device), center.to(device), (offset + torch.randn(offset.shape, generator=generator)).to(device)


def seconds(function: Callable[[], object], device: str) -> float:
    start = time.perf_counter()
    function()
    if device != 'cpu':
        torch.cuda.synchronize()
    return time.perf_counter() - start


@torch.no_grad()
def main() -> None:
    args = parse_args()
    init_default_scope('mmdet')
    net, maps = network(args), scene(*args.shape, args.instances, args.device)
    image = torch.rand(1, 3, *args.shape, device=args.device)
    result = panoptic_from_maps(*maps, num_things=THINGS)
    metric = PanopticQuality()
    names = tuple(f'class{n}' for n in range(THINGS + STUFF))
    metric.dataset_meta = dict(classes=names, thing_classes=names[:THINGS], stuff_classes=names[THINGS:])
    labels = result.panoptic.unique().tolist()
    truth = dict(sem_seg=(result.panoptic + 1)[None])
    infos = [
        dict(id=v + 1, category=v % 1000, is_thing=v % 1000 < THINGS, iscrowd=0)
        for v in labels
        if v % 1000 < len(names)
    ]
    truth['sem_seg'][result.panoptic[None] % 1000 == len(names)] = 0
    sample = dict(
        img_path='scene',
        pred_panoptic_seg=dict(sem_seg=result.panoptic[None]),
        gt_panoptic_seg=truth,
        gt_segments_info=infos,
    )
    jobs: dict[str, Callable[[], object]] = {
        'forward pass': lambda: net(image),
        'post-processing': lambda: panoptic_from_maps(*maps, num_things=THINGS),
        'metric': lambda: metric.process({}, [sample]),
    }
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for job in jobs.values():
        seconds(job, args.device)
    for _ in range(args.rounds):
        for name, job in jobs.items():
            times[name].append(seconds(job, args.device))
    middle = {name: statistics.median(values) for name, values in times.items()}
    whole = middle['forward pass']
    for name, value in middle.items():
        print(f'{name:20} {value * 1e3:9.1f} ms  {value / whole:7.2%}')
    size = f'{args.shape[0]}x{args.shape[1]}'
    print(
        f'{args.config or args.arch}, {size}, {len(result.labels)} instances, {args.device}, '
        f'{torch.get_num_threads()} threads, medians of {args.rounds} interleaved rounds'
    )


if __name__ == '__main__':
    main()
