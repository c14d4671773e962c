"""Cuts one architecture out of a supernet: arch.json, config.py, weights.pth, arch.svg."""

from __future__ import annotations

import argparse
import sys

from hyctas_mm import register_all_modules
from hyctas_mm.cli import tells_mistakes
from hyctas_mm.errors import NoSuchFile


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help="the supernet's config")
    parser.add_argument('checkpoint', help="the supernet's checkpoint")
    parser.add_argument('arch', help='a JSON file, or the name of a published architecture in the space')
    parser.add_argument('--out', required=True, help='folder to write')
    parser.add_argument('--data-root', help="folder of the data, in place of the config's data_root")
    recalibrate = 'recalibrate the batch norm on N batches of training images (default 16; 0: keep, needs none)'
    parser.add_argument('--calibrate', type=int, default=16, metavar='N', help=recalibrate)
    return parser.parse_args()


@tells_mistakes
def main() -> None:
    args = parse_args()
    register_all_modules()
    import numpy as np
    import torch
    from mmengine.config import ConfigDict
    from mmengine.dataset import pseudo_collate
    from mmengine.registry import DATASETS, MODELS
    from torch.utils.data import DataLoader

    from hyctas_mm.archs import load_arch
    from hyctas_mm.datasets.checks import check_images
    from hyctas_mm.engine.checkpoint import load_supernet
    from hyctas_mm.engine.configs import read_config, set_data_root, use_scope
    from hyctas_mm.engine.export import export_subnet
    from hyctas_mm.engine.hooks.sample_arch_hook import supernet_space
    from hyctas_mm.engine.scoring import recalibrate_bn
    from hyctas_mm.models import cut_subnet

    cfg, arch = read_config(args.config), load_arch(args.arch)
    use_scope(cfg)
    if args.data_root:
        set_data_root(cfg, args.data_root)
    supernet = MODELS.build(ConfigDict(cfg.model.to_dict()))
    space = supernet_space(supernet)
    load_supernet(supernet, args.checkpoint, space)
    subnet = cut_subnet(supernet.eval(), cfg.model.to_dict(), arch)
    if args.calibrate:
        np.random.seed(0)  # of the training pipeline
        try:
            check_images(cfg.train_dataloader.dataset, 'train_dataloader')
            dataset = DATASETS.build(dict(cfg.train_dataloader.dataset))
        except FileNotFoundError as error:
            cure = "give --calibrate 0, which needs no images and keeps the supernet's own batch norm"
            raise NoSuchFile(f'{error}; or {cure}') from None
        generator = torch.Generator().manual_seed(0)
        loader = DataLoader(
            dataset, cfg.train_dataloader.batch_size, shuffle=True, collate_fn=pseudo_collate, generator=generator
        )
        recalibrate_bn(subnet, (batch for _, batch in zip(range(args.calibrate), loader, strict=False)))
    folder = export_subnet(args.out, subnet, cfg, arch, space.base_channels)
    print(arch.describe())
    print(f'written to {folder}')


if __name__ == '__main__':
    sys.exit(main())
