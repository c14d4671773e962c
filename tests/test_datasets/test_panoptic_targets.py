from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyctas_mm.datasets.panoptic import PanopticTargets, TargetMaps, build_targets
from hyctas_mm.datasets.panoptic.segment_ids import seg_map_from_ids
from hyctas_mm.datasets.panoptic.targets import draw_centers
from tests.test_datasets.panoptic_fixtures import random_scene, segment


def instances(segments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [s for s in segments if s['is_thing'] and not s['iscrowd']]


@given(st.integers(0, 2**31), st.integers(1, 40), st.integers(1, 40), st.integers(0, 12))
def test_every_pixel_plus_its_offset_is_the_centre(seed: int, height: int, width: int, things: int) -> None:
    ids, segments = random_scene(np.random.default_rng(seed), (height, width), things)
    maps = build_targets(ids, segments, sigma=2.0)
    pointed = np.mgrid[:height, :width] + maps.offset
    for one in instances(segments):
        pixels = np.argwhere(ids == one['id'])
        centre = pixels.mean(axis=0)
        assert np.allclose(pointed[:, ids == one['id']].T, centre, atol=1e-4)
        row, column = np.rint(centre).astype(int)
        assert maps.center[0, row, column] == 1
    outside = ~np.isin(ids, [one['id'] for one in instances(segments)])
    assert not maps.offset[:, outside].any() and np.array_equal(maps.offset_weight[0] == 0, outside)


@given(st.integers(0, 2**31), st.integers(0, 12), st.booleans())
def test_labels_and_weights(seed: int, things: int, ignore_crowd: bool) -> None:
    ids, segments = random_scene(np.random.default_rng(seed), (20, 30), things)
    maps = build_targets(ids, segments, small_area=30, small_weight=5.0, ignore_crowd=ignore_crowd)
    known = {s['id']: s for s in segments}
    for (row, column), ident in np.ndenumerate(ids):
        entry, at = known.get(int(ident)), (0, row, column)
        crowd = entry is not None and entry['iscrowd']
        assert maps.semantic[row, column] == (255 if entry is None or (crowd and ignore_crowd) else entry['category'])
        assert maps.center_weight[at] == (entry is not None and not crowd)
        small = entry is not None and entry['is_thing'] and not crowd and (ids == ident).sum() < 30
        assert maps.semantic_weight[at] == (5 if small else 1)


def test_types_and_shapes() -> None:
    ids, segments = random_scene(np.random.default_rng(0), (20, 30), 5)
    maps = build_targets(ids, segments)
    assert maps.semantic.shape == (20, 30) and maps.semantic.dtype == np.int64
    for name, channels in dict(center=1, offset=2, center_weight=1, offset_weight=1, semantic_weight=1).items():
        assert getattr(maps, name).shape == (channels, 20, 30) and getattr(maps, name).dtype == np.float32


@given(st.integers(0, 2**31), st.integers(1, 8), st.floats(0.5, 6))
def test_heatmap_is_the_largest_gaussian(seed: int, count: int, sigma: float) -> None:
    rng = np.random.default_rng(seed)
    rows, columns = rng.integers(0, 30, count), rng.integers(0, 50, count)
    heatmap = draw_centers(30, 50, rows, columns, sigma)
    row, column = np.mgrid[:30, :50]
    distances = (row - rows[:, None, None]) ** 2 + (column - columns[:, None, None]) ** 2
    expected = np.exp(-distances / (2 * sigma**2)).max(axis=0)
    assert np.allclose(heatmap, expected, atol=0.0112)  # what a window ends at, exp(-4.5)
    near = np.maximum(abs(row - rows[:, None, None]), abs(column - columns[:, None, None])).min(axis=0) <= 3 * sigma
    assert np.allclose(heatmap[near & (expected > 0.0112)], expected[near & (expected > 0.0112)], atol=1e-6)


def test_offsets_are_down_then_right() -> None:
    ids = np.zeros((5, 9), np.int32)
    ids[1:4, 2:7] = 5
    maps = build_targets(ids, [segment(5, 0)])
    assert maps.offset[:, 1, 2].tolist() == [1, 2] and maps.offset[:, 3, 6].tolist() == [-1, -2]
    assert np.argwhere(maps.center[0] == 1).tolist() == [[2, 4]]


def test_a_cut_instance_has_the_centre_of_what_is_left() -> None:
    ids = np.full((10, 10), 5, np.int32)
    whole, cut = (build_targets(part, [segment(5, 0)], small_area=60) for part in (ids, ids[:, 6:]))
    assert np.argwhere(whole.center[0] == 1).tolist() == [[4, 4]]
    assert (cut.offset[1, :, 0] == 1.5).all()
    assert (whole.semantic_weight == 1).all() and (cut.semantic_weight == 3).all()


def test_touching_instances_of_one_class_stay_apart() -> None:
    ids = np.repeat(np.array([[3, 4]], np.int32), 6, axis=1).repeat(5, axis=0)
    maps = build_targets(ids, [segment(3, 1), segment(4, 1)], sigma=1)
    assert (maps.semantic == 1).all()
    assert np.argwhere(maps.center[0] == 1).tolist() == [[2, 2], [2, 8]]
    assert maps.offset[1, 0, 5] < 0 < maps.offset[1, 0, 6]


@pytest.mark.parametrize(
    'segments', [[], [segment(9, 2, False)], [segment(9, 0, iscrowd=True)]], ids=['void', 'stuff', 'crowd']
)
def test_images_without_instances(segments: list[dict[str, Any]]) -> None:
    maps = build_targets(np.full((6, 7), 9 if segments else 0, np.int32), segments)
    assert (
        not maps.center.any()
        and not maps.offset.any()
        and not maps.offset_weight.any()
        and (maps.semantic_weight == 1).all()
    )
    assert (maps.center_weight == (1 if segments and not segments[0]['iscrowd'] else 0)).all()


def test_segments_that_a_crop_left_out_are_skipped() -> None:
    maps = build_targets(np.full((4, 4), 7, np.int32), [segment(5, 0), segment(7, 1, False)])
    assert not maps.center.any() and (maps.semantic == 1).all()


def test_the_step_writes_labels_and_maps() -> None:
    ids, segments = random_scene(np.random.default_rng(1), (20, 30), 5)
    results = PanopticTargets(sigma=3.0, small_area=9.0)(dict(gt_seg_map=seg_map_from_ids(ids), segments_info=segments))
    maps, expected = results['gt_panoptic_maps'], build_targets(ids, segments, 3.0, 9.0)
    assert isinstance(maps, TargetMaps) and results['gt_seg_map'] is maps.semantic
    assert np.array_equal(maps.center, expected.center) and np.array_equal(
        maps.semantic_weight, expected.semantic_weight
    )


@pytest.mark.parametrize('options', [dict(sigma=0), dict(small_weight=-1)])
def test_bad_options(options: dict[str, float]) -> None:
    name, value = next(iter(options.items()))
    with pytest.raises(ValueError, match=f'{name}={value}; expected a positive number'):
        PanopticTargets(**options)


def test_memory_does_not_grow_with_instances_times_pixels() -> None:
    rng = np.random.default_rng(0)
    ids = rng.integers(1, 301, (20, 20)).astype(np.int32).repeat(32, axis=0).repeat(32, axis=1)
    segments = [segment(int(ident), 0) for ident in np.unique(ids)]
    tracemalloc.start()
    build_targets(ids, segments)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6  # a boolean mask for each instance alone would take 115 MB, and whole Gaussians 460
