"""What a training step of a supernet moves and starts, before and after; needs no GPU and no data.

python benchmarks/step_profile.py [--config CONFIG] [--batch 16] [--images 8]

The first table is of loading: time of an image of the size given, drawn at random, through the config's pipeline, from
whole files and from those of tools/prepare_data.py, and the bytes that go from process to process and to the device.
The second counts the operations of a step that compute (views do not), each a kernel or more on a GPU, and the bytes
that they read and write: forward pass, loss, backward pass and optimizer, as on a GPU but on the meta device, where
nothing is computed. Fused attention is not counted, an operation on a list of tensors is one.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from hyctas_mm import register_all_modules
from hyctas_mm.costs.memory import FusedAttention
from hyctas_mm.datasets.half_size import write_half_size
from hyctas_mm.engine.candidate_costs import training_loss, training_network
from hyctas_mm.engine.hooks.sample_arch_hook import supernet_space
from hyctas_mm.models import layers, set_arch

CONFIG = 'configs/hyctas/cityscapes/hyctas_supernet_1xb16-600e_cityscapes-256x512.py'


class Counted(TorchDispatchMode):
    """Counts operations that compute, and the bytes of what they are given and give."""

    def __init__(self) -> None:
        super().__init__()
        self.operations, self.bytes = 0, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        found = [leaf for leaf in tree_leaves(made) if isinstance(leaf, Tensor)]
        if not func.is_view and found and 'empty' not in func.name():
            self.operations += 1
            self.bytes += sum(tensor.numel() * tensor.element_size() for tensor in [*given, *found])
        return made


def draw(folder: Path, count: int, sides: Sequence[int], classes: int) -> list[dict[str, str]]:
    """Images and labels whose PNG are as hard to read as photographs'."""
    samples, rng = [], np.random.default_rng(0)
    for name in map(str, range(count)):
        coarse = rng.integers(0, 256, (sides[0] // 32, sides[1] // 32, 3)).astype(np.uint8)
        image = cv2.resize(coarse, tuple(sides[::-1]), interpolation=cv2.INTER_CUBIC).astype(int)
        image = (image + rng.normal(0, 4, image.shape)).clip(0, 255).astype(np.uint8)
        label = cv2.resize(coarse[..., 0] % classes, tuple(sides[::-1]), interpolation=cv2.INTER_NEAREST)
        paths = dict(img_path=str(folder / f'{name}.png'), seg_map_path=str(folder / f'{name}_label.png'))
        cv2.imwrite(paths['img_path'], image)
        cv2.imwrite(paths['seg_map_path'], label)
        samples.append(paths)
    return samples


def packed_as_mmseg(cfg: Config) -> Config:
    """The config with labels of eight bytes, as before."""
    before = copy.deepcopy(cfg)
    before.train_dataloader.dataset.pipeline[-1].type = 'PackSegInputs'
    return before


def load(cfg: Config, samples: Sequence[dict[str, str]]) -> tuple[float, int]:
    """Milliseconds and bytes of a sample."""
    pipeline, times, found = Compose(cfg.train_dataloader.dataset.pipeline), [], []
    np.random.seed(0)  # equal crops of all files
    for sample in samples:
        start = time.process_time()
        found.append(num_bytes(pipeline(dict(sample, seg_fields=[], label_map=None, reduce_zero_label=False))))
        times.append(time.process_time() - start)
    return statistics.median(times) * 1e3, sum(found) // len(found)


def num_bytes(sample: Any) -> int:
    tensors = [sample['inputs'], sample['data_samples'].gt_sem_seg.data]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def counted_step(cfg: Config, batch: int) -> Counted:
    """The second step, for which the optimizer has its momenta."""
    with torch.device('meta'):
        net = training_network(cfg.model.to_dict())
    set_arch(net, supernet_space(net).sample(np.random.default_rng(0)))
    optimizer = build_optim_wrapper(net, cfg.optim_wrapper).optimizer
    for group in optimizer.param_groups:
        group['foreach'] = True  # PyTorch's own choice on a GPU
    for _ in range(2):
        with torch.device('meta'), FusedAttention('cuda'), Counted() as counted:
            loss = training_loss(net, batch, tuple(cfg.model.data_preprocessor.size))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    return counted


def slice_always(x: Tensor, count: int) -> Tensor:
    """What a supernet's layers did to a parameter that is in use as a whole, too."""
    return x[:count]


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--config', default=CONFIG)
    parser.add_argument('--batch', type=int, help="images of a step (default: the config's)")
    parser.add_argument('--images', type=int, default=8, help='images to load (default 8)')
    parser.add_argument('--sides', type=int, nargs=2, default=(1024, 2048), metavar=('H', 'W'), help='of an image')
    args = parser.parse_args()
    register_all_modules()
    init_default_scope('mmseg')
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    now = Config.fromfile(args.config)
    before = packed_as_mmseg(now)
    loading = Table('files', 'labels', 'ms an image', 'bytes an image')
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / 'whole').mkdir()
        whole = draw(Path(folder) / 'whole', args.images, args.sides, now.num_classes)
        pipeline = now.train_dataloader.dataset.pipeline
        write_half_size(whole, (), pipeline, Path(folder) / 'whole', Path(folder) / 'half')
        half = [{name: path.replace('/whole/', '/half/') for name, path in sample.items()} for sample in whole]
        for name, cfg, files in (('whole', before, whole), ('whole', now, whole), ('half', now, half)):
            ms, size = load(cfg, files)
            loading.add_row(name, 'uint8' if cfg is now else 'int64', f'{ms:.1f}', f'{size:,}')
    steps = Table('step', 'operations', 'GB read and written')
    for name, first in (('before', slice_always), ('now', layers._first)):
        with mock.patch.object(layers, '_first', first):
            counted = counted_step(now, args.batch or now.train_dataloader.batch_size)
        steps.add_row(name, f'{counted.operations:,}', f'{counted.bytes / 1e9:.2f}')
    console = Console(width=100)
    console.print(loading)
    console.print(steps)


if __name__ == '__main__':
    main()
