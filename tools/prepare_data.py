"""Writes copies of a config's training images at half their sides, where its pipeline never takes them larger; train
with --data-root OUT_DIR then.

Validation images and all other files of the folder are links to those of the data set.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from hyctas_mm import register_all_modules
from hyctas_mm.cli import ConfigOptions, tells_mistakes
from hyctas_mm.errors import BadValue


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config of the training, e.g. of a supernet')
    parser.add_argument('out', type=Path, metavar='OUT_DIR', help='e.g. data/cityscapes_half')
    parser.add_argument('--data-root', help="folder of the data, in place of the config's data_root")
    parser.add_argument('--cfg-options', nargs='+', action=ConfigOptions, help='overrides of the config')
    parser.add_argument('--workers', type=int, default=len(os.sched_getaffinity(0)), help='threads; default: the cores')
    return parser.parse_args()


@tells_mistakes
def main() -> None:
    args = parse_args()
    args.work_dir = None
    register_all_modules()
    from mmseg.datasets import BaseSegDataset

    from hyctas_mm.datasets.checks import check_images
    from hyctas_mm.datasets.half_size import write_half_size
    from hyctas_mm.engine.configs import load_config, use_scope
    from hyctas_mm.engine.progress import Progress
    from hyctas_mm.registry import DATASETS

    cfg = load_config(args)
    use_scope(cfg)
    found = {}
    for part in ('train', 'val', 'test'):
        if not cfg.get(f'{part}_dataloader'):
            continue
        settings = cfg[f'{part}_dataloader'].dataset
        check_images(settings, f'{part}_dataloader')
        dataset = DATASETS.build({**settings, 'lazy_init': True, 'pipeline': []})
        if not isinstance(dataset, BaseSegDataset) or not dataset.data_root:
            raise BadValue(
                f'{args.config}: {part}_dataloader.dataset is {settings.type}; expected a semantic data set of mmseg '
                'with a data_root (segments of a panoptic one could vanish)'
            )
        found[part] = dataset.load_data_list()
    root = Path(cfg.train_dataloader.dataset.data_root)
    progress: list[Progress] = []

    def watch(done: int, total: int) -> None:
        if not progress:
            progress.append(Progress('images', total))
        progress[0].update(done)

    kept = [sample['img_path'] for part in ('val', 'test') for sample in found.get(part, ())]
    steps = cfg.train_dataloader.dataset.pipeline
    count = write_half_size(found['train'], kept, steps, root, args.out, max(1, args.workers), watch)
    print(f'{count} of {len(found["train"])} training images at half their sides: --data-root {args.out}')


if __name__ == '__main__':
    sys.exit(main())
