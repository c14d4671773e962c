"""What bottom-up grouping can represent: panoptic quality of maps without any error, at the images' own size.

python benchmarks/perfect_maps.py data/nuclei_panoptic [--prefix panoptic] [--stuff-area 0 2048] [--top-k 200 1000]
[--nms-kernel 7]
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np
import torch
from mmcv.transforms import LoadImageFromFile

from hyctas_mm.datasets.panoptic import LoadPanoptic, PanopticDataset, build_targets
from hyctas_mm.datasets.panoptic.segment_ids import ids_from_seg_map
from hyctas_mm.evaluation import PanopticSums, TrueSegments, match_segments
from hyctas_mm.models.post_processing import panoptic_from_maps


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('root', type=Path, help='folder with images/SPLIT, PREFIX_SPLIT.json and PREFIX_SPLIT/')
    parser.add_argument('--prefix', default='panoptic')
    parser.add_argument('--split', default='val')
    parser.add_argument('--stuff-area', type=float, nargs='+', default=(2048, 0))
    parser.add_argument('--top-k', type=int, nargs='+', default=(200, 1000))
    parser.add_argument('--nms-kernel', type=int, nargs='+', default=(7,))
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    dataset = PanopticDataset(
        data_root=str(args.root),
        ann_file=f'{args.prefix}_{args.split}.json',
        data_prefix=dict(img=f'images/{args.split}', seg=f'{args.prefix}_{args.split}'),
        pipeline=[LoadImageFromFile(), LoadPanoptic()],
    )
    things, classes = len(dataset.metainfo['thing_classes']), len(dataset.metainfo['classes'])
    settings = list(itertools.product(args.stuff_area, args.top_k, args.nms_kernel))
    totals = {setting: PanopticSums.zero(classes) for setting in settings}
    for sample in dataset:
        ids, segments = ids_from_seg_map(sample['gt_seg_map']), sample['segments_info']
        maps = build_targets(ids, segments)
        labels = np.where(maps.semantic == 255, classes, maps.semantic)  # void as one more class, whose label says void
        # (H, W, C) -> (C, H, W)
        logits = torch.nn.functional.one_hot(torch.from_numpy(labels), classes + 1).permute(2, 0, 1).float()
        truth = TrueSegments.from_infos(segments, np.arange(classes) < things)
        for stuff_area, top_k, kernel in settings:
            options = dict(num_things=things, stuff_area=stuff_area, top_k=top_k, nms_kernel=kernel)
            result = panoptic_from_maps(logits, torch.from_numpy(maps.center), torch.from_numpy(maps.offset), **options)
            # stuff below the limit is void too
            panoptic = result.panoptic.where(result.panoptic != classes + 1, classes)
            totals[stuff_area, top_k, kernel] += match_segments(panoptic, torch.from_numpy(ids), truth, classes)
    print(f'{args.root.name} {args.prefix} {args.split}: {len(dataset)} images')
    print('| stuff area | top k | NMS kernel | PQ | things | stuff | missed |')
    print('|---|---|---|---|---|---|---|')
    for (stuff_area, top_k, kernel), total in totals.items():
        quality = total.quality()[:, 0]
        means = [np.nanmean(part) for part in (quality, quality[:things], quality[things:])]
        print(
            f'| {stuff_area:g} | {top_k} | {kernel} | '
            + ' | '.join(f'{mean:.2f}' for mean in means)
            + f' | {int(total.fn.sum())} |'
        )


if __name__ == '__main__':
    main()
