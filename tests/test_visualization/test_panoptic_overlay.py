from __future__ import annotations

import numpy as np
import pytest

from hyctas_mm.visualization.panoptic_overlay import (
    INSTANCE_OFFSET,
    default_palette,
    overlay,
    panoptic_overlay,
    segment_names,
    thing_outlines,
    true_panoptic,
)

PALETTE = [[200, 0, 0], [0, 0, 100], [0, 160, 0]]
VOID = 3


def scene(height: int = 60, width: int = 90) -> np.ndarray:
    """Two instances of class 0 side by side on class 2, a strip of void above."""
    panoptic = np.full((height, width), 2)
    panoptic[:10] = VOID
    panoptic[20:50, 10:40], panoptic[20:50, 40:70] = INSTANCE_OFFSET, 2 * INSTANCE_OFFSET
    return panoptic


def test_colours_are_those_of_the_palette() -> None:
    image = np.zeros((1, 3, 3), np.uint8)
    assert overlay(image, np.array([[0, 1, 255]]), PALETTE)[0].tolist() == [[0, 0, 130], [65, 0, 0], [0, 0, 0]]


def test_stuff_is_filled_things_are_outlined_and_differ_in_shade() -> None:
    drawn = panoptic_overlay(np.zeros((60, 90, 3), np.uint8), scene(), PALETTE)
    assert drawn[5, 5].tolist() == [0, 0, 0], 'void stays black'
    assert drawn[55, 85].tolist() == [0, 104, 0], 'stuff has its colour'
    first, second = drawn[35, 25], drawn[35, 55]
    assert first[2] > 80 and second[2] > 80 and not first[:2].any(), 'both red, as their class'
    assert abs(int(first[2]) - int(second[2])) > 20
    assert (drawn[20:50, 40] == 255).all() and (drawn[20, 10:70] == 255).all()
    assert not (drawn[10, :10] == 255).all(-1).any(), 'between stuff and void there is no line'


def test_outlines_grow_with_the_image() -> None:
    small, large = (thing_outlines(np.kron(scene(), np.ones((k, k), int))) for k in (1, 20))
    assert small[35].sum() == 3 and large[35 * 20].sum() == 3 * 3
    assert not thing_outlines(np.full((4, 5), 2)).any()


def test_void_is_black_however_many_classes_there_are() -> None:
    drawn = panoptic_overlay(np.zeros((2, 2, 3), np.uint8), np.array([[149, 150], [254, 255]]), default_palette(150))
    assert drawn[0, 0].any() and not drawn[0, 1].any() and not drawn[1].any()


def test_names_are_inside_their_segments_and_apart() -> None:
    panoptic = np.kron(scene(), np.ones((4, 4), int))
    names = segment_names(panoptic, ['cat', 'dog', 'meadow'])
    assert sorted(name.text for name in names) == ['cat', 'cat', 'meadow']
    for name in names:
        middle = panoptic[name.bottom - name.height // 2, name.left + name.width // 2]
        assert ['cat', 'dog', 'meadow'][middle % INSTANCE_OFFSET] == name.text
        assert (
            name.left >= 0
            and name.left + name.width <= panoptic.shape[1]
            and name.height <= name.bottom <= panoptic.shape[0]
        )
    assert not any(a.overlaps(b) for n, a in enumerate(names) for b in names[:n])
    assert names[0].overlaps(names[0])


def test_small_segments_and_crowded_ones_have_no_name() -> None:
    panoptic = np.zeros((200, 200), int)
    panoptic[100, 100] = INSTANCE_OFFSET
    assert len(segment_names(panoptic, ['cat'])) == 1
    columns = (np.arange(200) // 8 + 1) * INSTANCE_OFFSET
    names = segment_names(np.broadcast_to(columns, (60, 200)), ['a long name'])
    assert 1 <= len(names) < 25


def test_names_are_written() -> None:
    image = np.zeros((60, 90, 3), np.uint8)
    assert (
        panoptic_overlay(image, scene(), PALETTE, ['cat', 'dog', 'sky']) != panoptic_overlay(image, scene(), PALETTE)
    ).any()
    assert not image.any(), 'the image itself is left alone'


def test_a_name_wider_than_the_image_begins_at_its_edge() -> None:
    name = segment_names(np.zeros((20, 20), int), ['a name that does not fit'])[0]
    assert name.left == 0 and name.width > 20
    panoptic_overlay(np.zeros((20, 20, 3), np.uint8), np.zeros((20, 20), int), PALETTE, ['a name that does not fit'])


def test_truth_in_the_encoding_of_predictions() -> None:
    ids = np.array([[7, 7, 0], [9, 5, 300]])
    segments = [
        dict(id=7, category=0, is_thing=True, iscrowd=False),
        dict(id=9, category=0, is_thing=True, iscrowd=True),
        dict(id=5, category=2, is_thing=False, iscrowd=False),
        dict(id=300, category=0, is_thing=True, iscrowd=False),
    ]
    assert true_panoptic(ids, segments, VOID).tolist() == [[1000, 1000, VOID], [0, 2, 4000]]


@pytest.mark.parametrize('size', [1, 19, 133, 150])
def test_made_up_colours_differ(size: int) -> None:
    colours = default_palette(size)
    assert len({tuple(colour) for colour in colours}) == size and all(
        0 <= part <= 255 for colour in colours for part in colour
    )
