from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hyctas_mm.datasets.panoptic import build_targets
from hyctas_mm.models import post_processing
from hyctas_mm.models.post_processing import (
    MAX_INSTANCES,
    PanopticMaps,
    PanopticResult,
    average_maps,
    find_centers,
    panoptic_from_maps,
)
from tests.test_datasets.panoptic_fixtures import perfect_logits, random_scene, segment


def random_maps(seed: int, classes: int, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return (
        torch.randn(classes, height, width, generator=rng),
        torch.rand(1, height, width, generator=rng),
        torch.randn(2, height, width, generator=rng) * 8,
    )


def brute_force(
    semantic: Tensor,
    center: Tensor,
    offset: Tensor,
    num_things: int,
    threshold: float,
    kernel: int,
    top_k: int,
    area: float,
) -> Tensor:
    """The map of panoptic_from_maps, pixel by pixel, for heatmaps without ties."""
    classes, height, width = semantic.shape
    labels, reach, heatmap = semantic.argmax(0), kernel // 2, center[0]
    peaks = []
    for row in range(height):
        for column in range(width):
            around = heatmap[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1]
            if heatmap[row, column] > threshold and heatmap[row, column] == around.max():
                peaks.append((float(heatmap[row, column]), row, column))
    peaks = sorted(peaks, reverse=True)[:top_k]
    panoptic, members = torch.full((height, width), classes), [[] for _ in peaks]
    for row in range(height):
        for column in range(width):
            label = int(labels[row, column])
            if label >= num_things:
                panoptic[row, column] = label if (labels == label).sum() >= area else classes
            elif peaks:
                point = offset[:, row, column].double() + torch.tensor([row, column])
                members[
                    min(range(len(peaks)), key=lambda k: float((point - torch.tensor(peaks[k][1:])).square().sum()))
                ].append((row, column))
    number = 0
    for pixels in members:
        if pixels:
            number += 1
            votes = [sum(int(labels[pixel]) == label for pixel in pixels) for label in range(num_things)]
            for pixel in pixels:
                panoptic[pixel] = votes.index(max(votes)) + 1000 * number
    return panoptic


@given(
    st.integers(0, 2**31),
    st.integers(1, 10),
    st.integers(1, 12),
    st.sampled_from([3, 5, 7]),
    st.integers(1, 6),
    st.sampled_from([0.1, 0.9]),
)
def test_grouping_is_that_of_brute_force(
    seed: int, height: int, width: int, kernel: int, top_k: int, threshold: float
) -> None:
    maps = random_maps(seed, 5, height, width)
    result = panoptic_from_maps(*maps, num_things=3, threshold=threshold, nms_kernel=kernel, top_k=top_k, stuff_area=8)
    expected = brute_force(*maps, 3, threshold, kernel, top_k, 8)
    # equal votes leave the class open: then instances are compared without it
    assert torch.equal(result.panoptic // 1000, expected // 1000)
    assert torch.equal(result.panoptic[expected < 1000], expected[expected < 1000])
    for value in expected[expected >= 1000].unique():
        pixels = expected == value
        votes = torch.bincount(maps[0].argmax(0)[pixels], minlength=3)
        assert votes[int(result.panoptic[pixels][0]) % 1000] == votes.max()


def check_result(result: PanopticResult, maps: tuple[Tensor, Tensor, Tensor], num_things: int) -> None:
    semantic, center, _ = maps
    count = len(result.labels)
    assert result.panoptic.dtype == result.instance_ids.dtype == result.labels.dtype == torch.int64
    assert (
        result.panoptic.shape == semantic.shape[1:]
        and result.centers.shape == (count, 2)
        and result.scores.shape == (count,)
    )
    assert result.instance_ids.tolist() == [int(label) + 1000 * (k + 1) for k, label in enumerate(result.labels)]
    assert set(result.panoptic[result.panoptic >= 1000].tolist()) == set(result.instance_ids.tolist())
    assert (result.labels < num_things).all()
    probabilities = semantic.softmax(0)
    for ident, label, score, place in zip(result.instance_ids, result.labels, result.scores, result.centers):
        height = center[0][tuple(place.round().long())]
        assert torch.isclose(score, height * probabilities[label][result.panoptic == ident].mean(), atol=1e-5)


@given(st.integers(0, 2**31))
def test_instances_are_described(seed: int) -> None:
    maps = random_maps(seed, 6, 17, 23)
    check_result(panoptic_from_maps(*maps, num_things=4, stuff_area=5), maps, 4)


def test_the_result_is_frozen() -> None:
    result = panoptic_from_maps(*random_maps(0, 3, 5, 5), num_things=1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.panoptic = result.labels


@given(st.integers(0, 2**31), st.integers(0, 8))
def test_perfect_maps_give_the_truth(seed: int, things: int) -> None:
    ids, segments = random_scene(np.random.default_rng(seed), (40, 50), things)
    segments = [dict(one, iscrowd=False) for one in segments]
    maps = build_targets(ids, segments, sigma=2)
    peaks = np.argwhere(maps.center[0] == 1)
    apart = (
        len(peaks) == sum(one['is_thing'] for one in segments)
        and (np.abs(peaks[:, None] - peaks).max(-1) + 9 * np.eye(len(peaks)) > 1).all()
    )
    result = panoptic_from_maps(
        perfect_logits(maps, 4),
        torch.from_numpy(maps.center),
        torch.from_numpy(maps.offset),
        num_things=2,
        stuff_area=0,
    )
    if not apart:
        return  # centres that coincide or touch cannot be told apart
    panoptic = result.panoptic.numpy()
    assert len(result.labels) == len(peaks)
    for one in segments:
        values = np.unique(panoptic[ids == one['id']])
        assert len(values) == 1 and values[0] % 1000 == one['category'] and (values[0] >= 1000) == one['is_thing']
        assert one['id'] in (255, 256) or np.array_equal(panoptic == values[0], ids == one['id'])


def test_a_chunk_never_holds_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    maps = random_maps(0, 4, 40, 40)
    whole = panoptic_from_maps(*maps, num_things=3, top_k=50)
    monkeypatch.setattr(post_processing, '_CPU_CHUNK', 64)
    largest = 0
    real = torch.Tensor.addcmul_

    def watched(self: Tensor, *factors: Tensor) -> Tensor:
        nonlocal largest
        largest = max(largest, self.numel())
        return real(self, *factors)

    monkeypatch.setattr(torch.Tensor, 'addcmul_', watched)
    chunked = panoptic_from_maps(*maps, num_things=3, top_k=50)
    assert torch.equal(whole.panoptic, chunked.panoptic) and torch.allclose(whole.scores, chunked.scores)
    assert 0 < largest <= 64


def heatmap(rows: list[str]) -> Tensor:
    """A digit for each pixel, in tenths."""
    return torch.tensor([[int(digit) / 10 for digit in row] for row in rows])


@pytest.mark.parametrize(
    ('rows', 'centers'),
    [
        (['0000', '0900', '0000'], [[1, 1]]),
        (['1111', '1111'], []),  # not above the threshold
        (['9990000', '0000000'], [[0, 1]]),  # a plateau is one centre: its middle
        (['9000009', '9000009', '9999999'], [[16 / 11, 3]]),  # as large and bent as it may be
        (['9000000', '0900000', '0000000'], [[0.5, 0.5]]),  # corners touch
        (['90900000', '00000000'], [[0, 0], [0, 2]]),  # equally high and apart: two
        (['90800000', '00000000'], [[0, 0]]),  # the lower one is suppressed
        (['90008000', '00000000'], [[0, 0], [0, 4]]),  # out of reach
        (['0000009', '9000000'], [[0, 6], [1, 0]]),  # the end of a row and the start of the next do not touch
        (['5000009'], [[0, 6], [0, 0]]),  # the highest first
        (['7777777', '7777777', '7777777'], [[1, 3]]),
    ],
)
def test_centres(rows: list[str], centers: list[list[float]]) -> None:
    places, heights = find_centers(heatmap(rows), 0.1, 7, 10)
    assert torch.allclose(places, torch.tensor(centers, dtype=torch.float32).view(-1, 2)) and len(heights) == len(
        centers
    )
    assert torch.equal(heights, heights.sort(descending=True).values)


@pytest.mark.parametrize(
    ('rows', 'count'),
    [
        (['400000000', '000000000', '000000003'], 2),  # below the threshold, and more than half of the highest
        (['400000000', '000000000', '000000001'], 1),  # less than half of it
        (['900000000', '000000000', '000000003'], 1),  # the highest is above the threshold by more than twice
        (['000000000', '000000000', '000000000'], 0),
    ],
)
def test_low_centres(rows: list[str], count: int) -> None:
    assert len(find_centers(heatmap(rows), 0.45, 7, 10, of_highest=0.5)[0]) == count


@given(st.integers(0, 2**31), st.integers(1, 12), st.integers(1, 12), st.floats(0, 1))
def test_plateaus_are_connected_components(seed: int, height: int, width: int, share: float) -> None:
    ndimage = pytest.importorskip('scipy.ndimage')
    mask = np.random.default_rng(seed).random((height, width)) < share
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    found = post_processing._plateaus(torch.from_numpy(mask).nonzero(), width)
    if found is None:
        assert count == mask.sum()
    else:
        pairs = np.unique(np.stack([found.numpy(), labels[mask]]), axis=1)
        assert pairs.shape[1] == count == int(found.max()) + 1


@given(st.integers(0, 2**31), st.sampled_from([1, 3, 5, 7, 9]), st.integers(1, 15), st.integers(1, 15))
def test_local_maximum_is_that_of_pooling(seed: int, kernel: int, height: int, width: int) -> None:
    values = torch.randn(height, width, generator=torch.Generator().manual_seed(seed))
    expected = F.max_pool2d(values[None, None], kernel, 1, kernel // 2)[0, 0]
    assert torch.equal(post_processing._local_maximum(values, kernel), expected)


def flat_maps(labels: list[list[int]], classes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Certain classes, no centre, no offset."""
    semantic = F.one_hot(torch.tensor(labels), classes).permute(2, 0, 1).float() * 20
    return semantic, torch.zeros(1, *semantic.shape[1:]), torch.zeros(2, *semantic.shape[1:])


def test_things_without_a_centre_are_void() -> None:
    result = panoptic_from_maps(*flat_maps([[0, 2], [1, 2]], 3), num_things=2, stuff_area=0)
    assert result.panoptic.tolist() == [[3, 2], [3, 2]] and len(result.labels) == 0 and result.centers.shape == (0, 2)


def test_centres_without_things_are_no_instances() -> None:
    semantic, center, offset = flat_maps([[2, 2], [2, 2]], 3)
    result = panoptic_from_maps(semantic, center + 0.9, offset, num_things=2, stuff_area=0)
    assert (result.panoptic == 2).all() and len(result.instance_ids) == 0
    semantic, center, offset = flat_maps([[0] * 6], 1)
    center[0, 0, 0], center[0, 0, 5], offset[1] = 0.9, 0.8, -5
    result = panoptic_from_maps(semantic, center, offset, num_things=1, stuff_area=0)
    assert result.panoptic.tolist() == [[1000] * 6] and len(result.scores) == 1


def test_the_majority_names_an_instance() -> None:
    semantic, center, offset = flat_maps([[1, 0, 1, 2]], 3)
    center[0, 0, 1] = 1
    result = panoptic_from_maps(semantic, center, offset, num_things=2, stuff_area=0)
    assert result.panoptic.tolist() == [[1001, 1001, 1001, 2]] and result.labels.tolist() == [1]
    assert result.scores[0] == pytest.approx(2 / 3, abs=1e-4)


def test_small_stuff_is_void() -> None:
    maps = flat_maps([[1, 1, 1, 2]], 3)
    for options, expected in (
        (dict(stuff_area=2), [1, 1, 1, 3]),
        (dict(stuff_area=1), [1, 1, 1, 2]),
        (dict(stuff_area=4, stuff_area_hw=(2, 4)), [1, 1, 1, 3]),  # half as many pixels: an area of 2
        (dict(stuff_area=2, stuff_area_hw=(2, 4)), [1, 1, 1, 2]),
    ):
        assert panoptic_from_maps(*maps, num_things=1, **options).panoptic.tolist() == [expected]


def test_half_precision_maps() -> None:
    ids, segments = np.full((60, 2000), 5, np.int32), [segment(5, 0), segment(6, 0)]
    ids[:, 1000:] = 6
    maps = build_targets(ids, segments)
    result = panoptic_from_maps(
        perfect_logits(maps, 2).half(),
        torch.from_numpy(maps.center).half(),
        torch.from_numpy(maps.offset).half(),
        num_things=1,
    )
    assert np.array_equal(result.panoptic.unique(), [1000, 2000]) and np.array_equal(result.panoptic == 2000, ids == 6)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(nms_kernel=4), 'nms_kernel=4; expected an odd number of pixels from 3 up'),
        (dict(nms_kernel=1), 'nms_kernel=1'),
        (dict(of_highest=1.5), 'of_highest=1.5; expected a share between 0 and 1'),
        (dict(top_k=0), rf'top_k=0; expected 1..{MAX_INSTANCES}'),
        (dict(top_k=MAX_INSTANCES + 1), f'top_k={MAX_INSTANCES + 1}'),
        (dict(num_things=4), 'num_things=4 of 3 classes'),
        (dict(stuff_area_hw=(0, 5)), r'stuff_area_hw=\(0, 5\)'),
    ],
)
def test_bad_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        panoptic_from_maps(*random_maps(0, 3, 4, 4), **(dict(num_things=1) | options))


def test_bad_shapes() -> None:
    semantic, center, offset = random_maps(0, 3, 4, 4)
    with pytest.raises(ValueError, match=r'semantic_logits \(3, 4, 4\), center \(4, 4\)'):
        panoptic_from_maps(semantic, center[0], offset, num_things=1)
    with pytest.raises(ValueError, match=r'one image'):
        panoptic_from_maps(semantic[None], center[None], offset[None], num_things=1)


def test_the_largest_instance_fits_a_png() -> None:
    assert 999 + MAX_INSTANCES * 1000 < 2**24


def mirrored(maps: PanopticMaps) -> PanopticMaps:
    """What a network that is exact under mirroring predicts for the mirrored image."""
    sign = torch.tensor([1.0, -1.0]).view(1, 2, 1, 1)
    return PanopticMaps(*(m.flip(3) for m in (maps.semantic, maps.center, maps.offset * sign)))


def batch(seed: int, height: int, width: int) -> PanopticMaps:
    return PanopticMaps(*(m[None] for m in random_maps(seed, 4, height, width)))


def test_averaging_undoes_mirroring() -> None:
    maps = batch(0, 6, 8)
    average = average_maps([(maps, False), (mirrored(maps), True)])
    assert torch.allclose(average.semantic, maps.semantic.log_softmax(1), atol=1e-5)
    assert torch.allclose(average.center, maps.center) and torch.allclose(average.offset, maps.offset)


def test_mirrored_offsets_point_to_the_same_centre() -> None:
    ids = np.zeros((6, 9), np.int32)
    ids[1:5, 1:4] = 3
    one, other = (build_targets(part, [segment(3, 0)]) for part in (ids, np.ascontiguousarray(ids[:, ::-1])))
    semantic = torch.zeros(1, 1, 6, 9)
    straight, turned = (
        PanopticMaps(semantic, *(torch.from_numpy(m)[None] for m in (t.center, t.offset))) for t in (one, other)
    )
    average = average_maps([(turned, True)])
    assert torch.allclose(average.offset, straight.offset) and torch.allclose(average.center, straight.center)


def test_averaging_scales_offsets_with_the_size() -> None:
    constant = torch.tensor([2.0, -3.0]).view(1, 2, 1, 1)
    small = PanopticMaps(torch.zeros(1, 3, 4, 6), torch.ones(1, 1, 4, 6), constant.expand(1, 2, 4, 6))
    large = PanopticMaps(torch.zeros(1, 3, 8, 18), torch.ones(1, 1, 8, 18), constant.expand(1, 2, 8, 18))
    average = average_maps([(large, True), (small, False)])
    assert torch.allclose(average.offset[0, :, 3, 5], torch.tensor([(4 + 2) / 2, (-9 + 3) / 2]))
    assert average.semantic.shape == (1, 3, 8, 18) and torch.allclose(average.center, torch.ones(1, 1, 8, 18))
    assert average_maps([(small, False), (large, False)]).offset.shape == (1, 2, 4, 6)


def test_averaging_averages_probabilities() -> None:
    one, other = batch(1, 5, 5), batch(2, 5, 5)
    average = average_maps([(one, False), (other, False)])
    assert torch.allclose(
        average.semantic.softmax(1), (one.semantic.softmax(1) + other.semantic.softmax(1)) / 2, atol=1e-6
    )
    assert torch.allclose(average.offset, (one.offset + other.offset) / 2)
    certain = PanopticMaps(
        torch.tensor([200.0, -200.0]).view(1, 2, 1, 1), torch.zeros(1, 1, 1, 1), torch.zeros(1, 2, 1, 1)
    )
    assert average_maps([(certain, False)]).semantic.isfinite().all()


def test_averaging_leaves_the_views_alone() -> None:
    maps = batch(3, 4, 4)
    before = [m.clone() for m in maps]
    average_maps([(maps, False)])
    assert all(torch.equal(a, b) for a, b in zip(before, maps))
    with pytest.raises(ValueError, match='no views'):
        average_maps([])
