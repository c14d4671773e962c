"""LoadPanoptic and PackPanopticInputs, alone and around the geometric transforms of mmcv, mmdet and mmseg."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import mmcv.transforms as T
import mmdet.datasets.transforms as D
import mmseg.datasets.transforms as S
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.dataset import pseudo_collate
from mmengine.registry import TRANSFORMS

from hyctas_mm.datasets.panoptic import LoadPanoptic, PackPanopticInputs, PanopticDataset, PanopticTargets
from hyctas_mm.datasets.panoptic.segment_ids import ids_from_seg_map, rgb_from_ids, seg_map_from_ids
from tests.test_datasets.panoptic_fixtures import random_scene, segment, write_coco

Results = dict[str, Any]


def drawn(ids: np.ndarray, folder: Path, segments: list[dict[str, Any]], **more: Any) -> Results:
    path = folder / 'map.png'
    cv2.imwrite(str(path), rgb_from_ids(ids)[..., ::-1])
    image = np.zeros((*ids.shape, 3), np.uint8)
    return (
        dict(
            img=image,
            img_path='a.jpg',
            seg_map_path=str(path),
            segments_info=segments,
            ori_shape=ids.shape,
            img_shape=ids.shape,
        )
        | more
    )


def test_loads_ids_exactly(tmp_path: Path) -> None:
    ids, segments = random_scene(np.random.default_rng(0), (30, 40), 20)
    results = LoadPanoptic()(drawn(ids, tmp_path, segments))
    assert np.array_equal(ids_from_seg_map(results['gt_seg_map']), ids)
    assert (
        results['gt_seg_map'].dtype == np.int32
        and results['gt_seg_map'].flags.c_contiguous
        and results['seg_fields'] == ['gt_seg_map']
    )


def test_ids_must_match(tmp_path: Path) -> None:
    ids = np.array([[0, 5, 255, 70_000]], np.int32)
    with pytest.raises(
        ValueError, match=r'map.png: 2 segment ids are in the PNG but not in the JSON: \[255, 70000\].*strict=False'
    ):
        LoadPanoptic()(drawn(ids, tmp_path, [segment(5, 0)]))
    four = [segment(ident, 0) for ident in (5, 8, 255, 70_000)]
    with pytest.raises(ValueError, match=r'1 segment ids are in the JSON but not in the PNG: \[8\]'):
        LoadPanoptic()(drawn(ids, tmp_path, four))


def test_lenient_loading_makes_both_agree(tmp_path: Path) -> None:
    ids = np.array([[0, 5, 255, 70_000]], np.int32)
    results = LoadPanoptic(strict=False)(drawn(ids, tmp_path, [segment(8, 0), segment(5, 0), segment(70_000, 1)]))
    assert ids_from_seg_map(results['gt_seg_map']).tolist() == [[0, 5, 0, 70_000]]
    assert [s['id'] for s in results['segments_info']] == [5, 70_000]


def test_sizes_must_match(tmp_path: Path) -> None:
    results = drawn(np.full((4, 6), 5, np.int32), tmp_path, [segment(5, 0)], ori_shape=(6, 4))
    with pytest.raises(ValueError, match=r'a.jpg is \(height, width\) = \(6, 4\) but its PNG .*map.png is \(4, 6\)'):
        LoadPanoptic()(results)
    with pytest.raises(ValueError, match=r"image b.jpg has no PNG of segments; set data_prefix\['seg'\]"):
        LoadPanoptic()(dict(img_path='b.jpg', seg_map_path=None))


@pytest.mark.parametrize(
    'steps',
    [
        [T.Resize(scale=(57, 91))],
        [D.Resize(scale=(200, 60), keep_ratio=True)],
        [T.RandomResize(scale=(48, 64), ratio_range=(0.5, 2.0), resize_type=D.Resize, keep_ratio=True)],
        [T.RandomChoiceResize(scales=[(30, 30), (70, 90)])],
        [D.RandomFlip(prob=1.0)],
        [T.RandomFlip(prob=1.0, direction='vertical')],
        [D.RandomCrop(crop_size=(20, 24))],
        [S.RandomCrop(crop_size=(20, 24))],
        [D.Pad(size=(80, 90))],
        [T.Pad(size_divisor=32)],
        [D.Resize(scale=(90, 70)), D.RandomFlip(prob=1.0), D.RandomCrop(crop_size=(50, 60)), D.Pad(size=(64, 64))],
    ],
    ids=lambda steps: '-'.join(type(step).__name__ for step in steps),
)
def test_geometric_transforms_keep_ids(tmp_path: Path, steps: list[Any]) -> None:
    ids, segments = random_scene(np.random.default_rng(1), (48, 64), 30)
    # The image carries the segment's number too, so that both can be compared afterwards.
    known = np.array([0] + [s['id'] for s in segments])
    results = LoadPanoptic()(drawn(ids, tmp_path, segments))
    results['img'] = np.repeat(np.searchsorted(np.sort(known), ids)[..., None], 3, axis=2).astype(np.uint8)
    for step in steps:
        resizing = getattr(step, 'resize', step)  # what RandomResize and RandomChoiceResize call
        if hasattr(resizing, 'interpolation'):
            resizing.interpolation = 'nearest'
        results = step(results)
    found = ids_from_seg_map(results['gt_seg_map'])
    assert found.shape == results['img'].shape[:2]
    assert np.array_equal(found, np.sort(known)[results['img'][..., 0]])


def test_padding_is_void_even_where_255_is_a_segment(tmp_path: Path) -> None:
    results = LoadPanoptic()(drawn(np.full((4, 4), 255, np.int32), tmp_path, [segment(255, 0)]))
    padded = ids_from_seg_map(D.Pad(size=(6, 8))(results)['gt_seg_map'])
    assert (padded[:4, :4] == 255).all() and padded.sum() == 16 * 255
    results['gt_seg_map'] = padded = D.Pad(size=(6, 8), pad_val=dict(img=0, seg=255))(results)['gt_seg_map']
    maps = PanopticTargets()(results)['gt_panoptic_maps']
    assert (
        (maps.semantic[4:] == 255).all() and not maps.center_weight[0, 4:].any() and maps.center_weight[0, :4, :4].all()
    )


def test_packs_targets() -> None:
    ids, segments = random_scene(np.random.default_rng(2), (20, 30), 5)
    results = dict(
        img=np.random.rand(20, 30, 3).astype(np.float32),
        gt_seg_map=seg_map_from_ids(ids),
        segments_info=segments,
        flip=False,
    )
    results |= dict(img_path='a.jpg', img_id='a', ori_shape=(40, 60), img_shape=(20, 30), scale_factor=(0.5, 0.5))
    packed = PackPanopticInputs()(PanopticTargets()(results))
    sample = packed['data_samples']
    assert isinstance(sample, DetDataSample) and 'gt_panoptic_seg' not in sample
    assert (
        torch.equal(packed['inputs'], torch.from_numpy(results['img']).permute(2, 0, 1))
        and packed['inputs'].is_contiguous()
    )
    assert sample.gt_sem_seg.sem_seg.shape == (1, 20, 30) and sample.gt_sem_seg.sem_seg.dtype == torch.uint8
    channels = dict(center=1, offset=2, center_weight=1, offset_weight=1, semantic_weight=1)
    assert set(sample.gt_panoptic_maps.keys()) == set(channels)
    for name, count in channels.items():
        values = sample.gt_panoptic_maps.get(name)
        kind = torch.uint8 if name in ('center_weight', 'offset_weight') else torch.float32
        assert values.shape == (count, 20, 30) and values.dtype == kind and values.is_contiguous()
        assert np.array_equal(values, getattr(results['gt_panoptic_maps'], name))
    assert sample.metainfo == {
        key: results[key] for key in ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip')
    }


def test_packs_ids_and_grey_images() -> None:
    ids, segments = random_scene(np.random.default_rng(3), (20, 30), 5)
    results = dict(img=np.zeros((10, 15), np.uint8), gt_seg_map=seg_map_from_ids(ids), segments_info=segments)
    packed = PackPanopticInputs()(results)
    sample = packed['data_samples']
    assert packed['inputs'].shape == (1, 10, 15)
    assert 'gt_sem_seg' not in sample and 'gt_panoptic_maps' not in sample
    assert sample.gt_panoptic_seg.sem_seg.dtype == torch.int64 and np.array_equal(
        sample.gt_panoptic_seg.sem_seg, ids[None]
    )
    assert sample.gt_segments_info == segments and 'gt_segments_info' in sample.metainfo_keys()
    assert sample.to_dict()['gt_segments_info'] == segments  # what mmengine's evaluator hands to a metric


def test_packs_an_image_without_ground_truth() -> None:
    packed = PackPanopticInputs()(dict(img=np.zeros((4, 5, 3), np.uint8), img_path='a.jpg', seen=True))
    assert list(packed['data_samples'].keys()) == [] and packed['data_samples'].metainfo == dict(img_path='a.jpg')


def test_pipelines_from_configs(tmp_path: Path) -> None:
    scenes = [random_scene(np.random.default_rng(seed), (40, 50), 8) for seed in range(3)]
    write_coco(tmp_path, *zip(*scenes))
    load = [dict(type='LoadImageFromFile'), dict(type='LoadPanoptic')]
    geometry = [
        dict(type='RandomResize', scale=(64, 64), ratio_range=(0.5, 2.0), keep_ratio=True),
        dict(type='RandomFlip', prob=0.5),
        dict(type='mmdet.RandomCrop', crop_size=(48, 48)),
        dict(type='Pad', size=(48, 48)),
    ]
    train = [*load, *geometry, dict(type='PanopticTargets', sigma=4), dict(type='PackPanopticInputs')]
    test = [load[0], dict(type='Resize', scale=(32, 32)), load[1], dict(type='PackPanopticInputs')]
    options = dict(
        data_root=str(tmp_path), ann_file='panoptic_val.json', data_prefix=dict(img='images', seg='panoptic_val')
    )
    batch = pseudo_collate([PanopticDataset(**options, pipeline=train)[i] for i in range(3)])
    assert torch.stack(batch['inputs']).shape == (3, 3, 48, 48)
    assert all(sample.gt_panoptic_maps.shape == (48, 48) for sample in batch['data_samples'])
    for (ids, segments), packed in zip(scenes, PanopticDataset(**options, pipeline=test, test_mode=True)):
        assert packed['inputs'].shape == (3, 32, 32)
        assert np.array_equal(packed['data_samples'].gt_panoptic_seg.sem_seg[0], ids)
        assert packed['data_samples'].gt_segments_info == segments


def test_registered_in_the_root() -> None:
    for cls in (LoadPanoptic, PanopticTargets, PackPanopticInputs):
        assert TRANSFORMS.get(cls.__name__) is cls and cls.__name__ in repr(cls())
