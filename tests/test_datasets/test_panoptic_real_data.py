"""Loading, targets and grouping on real images; skipped unless HYCTAS_DATA names the folder that holds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mmcv.transforms as T
import mmdet.datasets.transforms as D
import numpy as np
import pytest
import torch
from mmdet.datasets import CocoPanopticDataset
from numpy.typing import NDArray

from hyctas_mm.datasets.panoptic import (
    LoadPanoptic,
    PackPanopticInputs,
    PanopticDataset,
    PanopticTargets,
    TargetMaps,
    build_targets,
)
from hyctas_mm.datasets.panoptic.segment_ids import ids_from_seg_map
from hyctas_mm.evaluation import PanopticSums, TrueSegments, match_segments
from hyctas_mm.models.post_processing import panoptic_from_maps
from tests.test_datasets.panoptic_fixtures import perfect_logits

SETS = [
    ('nuclei_panoptic', 'panoptic', 2, 1),
    ('coco200_panoptic', 'panoptic27', 27, 12),
    ('coco200_panoptic', 'panoptic', 133, 80),
]
IMAGES = 12


def load(
    root: Path, name: str, prefix: str, pipeline: list[Any], split: str = 'val', **options: Any
) -> PanopticDataset:
    return PanopticDataset(
        data_root=str(root / name),
        ann_file=f'{prefix}_{split}.json',
        data_prefix=dict(img=f'images/{split}', seg=f'{prefix}_{split}'),
        pipeline=[T.LoadImageFromFile(), *pipeline],
        **options,
    )


def perfect_prediction(maps: TargetMaps, num_classes: int, num_things: int, **options: Any) -> NDArray[np.int64]:
    """Segments from maps without any error; void and crowd are predicted as one more class, whose label says void."""
    known = TargetMaps(**dict(vars(maps), semantic=np.where(maps.semantic == 255, num_classes, maps.semantic)))
    logits = perfect_logits(known, num_classes + 1)
    result = panoptic_from_maps(
        logits, torch.from_numpy(maps.center), torch.from_numpy(maps.offset), num_things=num_things, **options
    )
    return result.panoptic.numpy()


@pytest.mark.slow
@pytest.mark.parametrize(('name', 'prefix', 'num_classes', 'num_things'), SETS)
def test_perfect_maps_reach_a_quality_of_99(
    real_data: Path, name: str, prefix: str, num_classes: int, num_things: int
) -> None:
    dataset = load(real_data, name, prefix, [LoadPanoptic()], indices=list(range(IMAGES)))
    assert len(dataset.metainfo['classes']) == num_classes and len(dataset.metainfo['thing_classes']) == num_things
    total = PanopticSums.zero(num_classes)
    for sample in dataset:
        ids, segments = ids_from_seg_map(sample['gt_seg_map']), sample['segments_info']
        panoptic = perfect_prediction(build_targets(ids, segments), num_classes, num_things, stuff_area=0, top_k=1000)
        truth = TrueSegments.from_infos(segments, np.arange(num_classes) < num_things)
        total = total + match_segments(torch.from_numpy(panoptic), torch.from_numpy(ids), truth, num_classes)
    assert total.tp.sum() > 50 and np.nanmean(total.quality()[:, 0]) >= 99


@pytest.mark.parametrize(('name', 'prefix', 'num_classes', 'num_things'), SETS)
def test_training_pipeline(real_data: Path, name: str, prefix: str, num_classes: int, num_things: int) -> None:
    pipeline = [
        LoadPanoptic(),
        T.RandomResize(scale=(512, 512), ratio_range=(0.5, 2.0), resize_type=D.Resize, keep_ratio=True),
        D.RandomFlip(prob=0.5),
        D.RandomCrop(crop_size=(256, 256)),
        D.Pad(size=(256, 256)),
        PanopticTargets(),
        PackPanopticInputs(),
    ]
    for packed in load(real_data, name, prefix, pipeline, 'train', indices=list(range(IMAGES))):
        sample = packed['data_samples']
        maps, labels = sample.gt_panoptic_maps, sample.gt_sem_seg.sem_seg[0]
        assert packed['inputs'].shape == (3, 256, 256)
        assert ((labels < num_classes) | (labels == 255)).all() and (
            labels[maps.offset_weight[0] == 1] < num_things
        ).all()
        places = torch.stack(torch.meshgrid(torch.arange(256), torch.arange(256), indexing='ij')) + maps.offset
        pointed = places[:, maps.offset_weight[0] == 1].round().long()
        assert (maps.center[0, pointed[0], pointed[1]] > 0.9).all()


def test_official_coco_categories_are_mmdets(real_data: Path) -> None:
    meta = load(real_data, 'coco200_panoptic', 'panoptic', [], metainfo=CocoPanopticDataset.METAINFO).metainfo
    assert meta['classes'] == load(real_data, 'coco200_panoptic', 'panoptic', []).metainfo['classes']


def test_the_json_of_another_split_is_refused(real_data: Path) -> None:
    with pytest.raises(FileNotFoundError, match='100 of 100 image files'):
        PanopticDataset(
            data_root=str(real_data / 'coco200_panoptic'),
            ann_file='panoptic_train.json',
            data_prefix=dict(img='images/val', seg='panoptic_val'),
            pipeline=[],
        )
