from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hyctas_mm.datasets.panoptic.segment_ids import (
    MAX_ID,
    ids_from_rgb,
    ids_from_seg_map,
    present_ids,
    rgb_from_ids,
    seg_map_from_ids,
    segment_numbers,
)

MAPS = arrays(
    np.int32,
    st.tuples(st.integers(1, 6), st.integers(1, 6)),
    elements=st.sampled_from([0, 1, 255, 256, 65535, 65536, 7_654_321, MAX_ID]),
)


@given(MAPS)
def test_ids_survive_the_png_and_the_pipeline(ids: np.ndarray) -> None:
    png = rgb_from_ids(ids)
    assert png.dtype == np.uint8 and png.shape == (*ids.shape, 3)
    assert np.array_equal(ids_from_rgb(png), ids)
    assert np.array_equal(ids_from_seg_map(seg_map_from_ids(ids)), ids)
    assert np.array_equal(present_ids(ids), np.unique(ids))


@given(MAPS, st.lists(st.sampled_from([1, 255, 256, 65536, MAX_ID]), unique=True))
def test_numbers_follow_the_list(ids: np.ndarray, listed: list[int]) -> None:
    numbers = segment_numbers(ids, [dict(id=ident) for ident in listed])
    expected = [[listed.index(ident) + 1 if ident in listed else 0 for ident in row] for row in ids.tolist()]
    assert numbers.tolist() == expected


def test_colour_order() -> None:
    assert ids_from_rgb(np.array([[[255, 2, 1]]], np.uint8)).tolist() == [[255 + 2 * 256 + 65536]]


@pytest.mark.parametrize('ids', [[[-1, 4]], [[0, MAX_ID + 1]]])
def test_ids_that_no_png_holds_are_refused(ids: list[list[int]]) -> None:
    with pytest.raises(ValueError, match=f'a PNG holds 0..{MAX_ID}'):
        rgb_from_ids(np.array(ids, np.int64))


def test_foreign_seg_maps_are_refused() -> None:
    with pytest.raises(ValueError, match=r'gt_seg_map is uint8 \(2, 3\).*LoadPanoptic'):
        ids_from_seg_map(np.zeros((2, 3), np.uint8))
