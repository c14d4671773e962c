from __future__ import annotations

import json
import math
import pickle
import sys
from collections.abc import Sequence
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.evaluator import Evaluator
from mmengine.registry import METRICS
from mmengine.structures import BaseDataElement, InstanceData, PixelData
from PIL import Image
from pycocotools import mask as mask_utils

from hyctas_mm.evaluation import (
    INSTANCE_OFFSET,
    PanopticQuality,
    PanopticSums,
    TrueSegments,
    class_areas,
    match_segments,
)
from hyctas_mm.evaluation.mask_ap import encode_segments
from hyctas_mm.visualization.panoptic_overlay import INSTANCE_OFFSET as OFFSET_OF_OVERLAYS
from tests.test_evaluation.brute_force import brute_force_class_iou, brute_force_quality, brute_force_sums

META = dict(classes=('person', 'car', 'sky', 'road'), thing_classes=('person', 'car'), stuff_classes=('sky', 'road'))
PERSON, CAR, SKY, ROAD, VOID = range(5)
THING = [True, True, False, False]
DEVICES = ['cpu', pytest.param('cuda', marks=pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU'))]


def info(segment_id: int, category: int, iscrowd: int = 0, is_thing: bool | None = None) -> dict[str, Any]:
    return dict(
        id=segment_id, category=category, iscrowd=iscrowd, is_thing=THING[category] if is_thing is None else is_thing
    )


def sums_of(
    pred: Any, gt: Any, infos: Sequence[dict[str, Any]], num_classes: int = 4, device: str = 'cpu'
) -> PanopticSums:
    is_thing = np.array([False] * num_classes)
    segments = TrueSegments.from_infos([{**i, 'is_thing': False} for i in infos], is_thing)
    return match_segments(torch.as_tensor(pred, device=device), torch.as_tensor(gt), segments, num_classes)


def as_table(sums: PanopticSums) -> np.ndarray:
    return np.stack([sums.iou, sums.tp, sums.fp, sums.fn], axis=1)


def counts(
    pred: list[int], gt: list[int], infos: Sequence[dict[str, Any]], category: int = PERSON
) -> tuple[float, int, int, int]:
    """IoU, TP, FP and FN of a class in an image of one row."""
    sums = sums_of([pred], [gt], infos)
    return float(sums.iou[category]), int(sums.tp[category]), int(sums.fp[category]), int(sums.fn[category])


def sample(pred: Any, gt: Any, infos: Sequence[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return dict(
        img_path='street.png',
        pred_panoptic_seg=dict(sem_seg=torch.as_tensor(pred, dtype=torch.int32)[None]),
        gt_panoptic_seg=dict(sem_seg=torch.as_tensor(gt)[None]),
        gt_segments_info=list(infos),
        **more,
    )


def evaluate(samples: Sequence[dict[str, Any]], meta: dict[str, Any] = META, **options: Any) -> dict[str, float]:
    metric = PanopticQuality(**options)
    metric.dataset_meta = meta
    metric.process(None, samples)
    return metric.evaluate(len(samples))


# The definition -------------------------------------------------------------------------------------------------------


@st.composite
def images(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, list[dict[str, Any]], int]:
    """A small true map, a prediction that often resembles it, the segments and the number of classes."""
    num_classes = draw(st.integers(1, 3))
    size = draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    ids = draw(st.lists(st.sampled_from([1, 2, 3, 999, 1000, 2**24 - 1, 2**45]), min_size=1, max_size=4, unique=True))
    gt = np.array(
        draw(st.lists(st.sampled_from([0, *ids]), min_size=size[0] * size[1], max_size=size[0] * size[1])),
        dtype=np.int64,
    )
    values = [label + INSTANCE_OFFSET * instance for label in range(num_classes + 1) for instance in (0, 1, 2, 2**20)]
    likeness = {value: draw(st.sampled_from(values)) for value in (0, *ids)}
    changes = draw(st.lists(st.sampled_from([*[None] * 12, *values]), min_size=gt.size, max_size=gt.size))
    pred = np.array([likeness[int(g)] if change is None else change for g, change in zip(gt, changes)], dtype=np.int64)
    infos = [
        info(int(i), draw(st.integers(0, num_classes - 1)), draw(st.sampled_from([0, 0, 0, 1])), is_thing=False)
        for i in np.unique(gt)
        if i
    ]
    return pred.reshape(size), gt.reshape(size), infos, num_classes  # (H*W,) -> (H, W)


@pytest.mark.slow
@settings(max_examples=500)
@given(images())
def test_equals_the_brute_force(image: tuple[np.ndarray, np.ndarray, list[dict[str, Any]], int]) -> None:
    pred, gt, infos, num_classes = image
    np.testing.assert_allclose(
        as_table(sums_of(pred, gt, infos, num_classes)), brute_force_sums(*image), rtol=0, atol=1e-9
    )


@given(images())
def test_class_iou_equals_the_brute_force(image: tuple[np.ndarray, np.ndarray, list[dict[str, Any]], int]) -> None:
    pred, gt, infos, num_classes = image
    segments = TrueSegments.from_infos(infos, np.zeros(num_classes, dtype=bool))
    areas = class_areas(torch.tensor(pred % INSTANCE_OFFSET), torch.tensor(gt), segments, num_classes)
    expected = brute_force_class_iou(pred % INSTANCE_OFFSET, gt, infos, num_classes)
    np.testing.assert_allclose(areas.iou(), expected, rtol=0, atol=1e-9)


@given(images(), st.integers(0, 2**31))
def test_names_of_ids_and_order_of_segments_do_not_matter(
    image: tuple[np.ndarray, np.ndarray, list[dict[str, Any]], int], seed: int
) -> None:
    pred, gt, infos, num_classes = image
    rng = np.random.default_rng(seed)
    new_id = dict(zip([0, *(i['id'] for i in infos)], [0, *rng.choice(10**6, len(infos), replace=False) + 1]))
    instances = np.unique(pred // INSTANCE_OFFSET)
    new_instance = dict(zip(instances, rng.choice(1000, len(instances), replace=False)))
    other_gt = np.vectorize(new_id.__getitem__, otypes=[np.int64])(gt)
    other_pred = np.vectorize(
        lambda v: v % INSTANCE_OFFSET + INSTANCE_OFFSET * new_instance[v // INSTANCE_OFFSET], otypes=[np.int64]
    )(pred)
    other_infos = [{**infos[i], 'id': int(new_id[infos[i]['id']])} for i in rng.permutation(len(infos))]
    ours, renamed = sums_of(pred, gt, infos, num_classes), sums_of(other_pred, other_gt, other_infos, num_classes)
    np.testing.assert_allclose(as_table(ours), as_table(renamed), rtol=0, atol=1e-12)


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('dtype', [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_any_integer_type_and_device(device: str, dtype: torch.dtype) -> None:
    pred = torch.tensor([[PERSON, PERSON, ROAD, VOID]], dtype=dtype)
    sums = sums_of(pred, [[3, 3, 4, 4]], [info(3, PERSON), info(4, ROAD)], device=device)
    assert sums.tp.tolist() == [1, 0, 0, 0] and sums.fn.tolist() == [0, 0, 0, 1] and sums.fp.tolist() == [0, 0, 0, 1]


# By hand --------------------------------------------------------------------------------------------------------------

A, B = 1000 + PERSON, 2000 + PERSON


def test_a_perfect_prediction() -> None:
    assert counts([A, A, B, ROAD], [5, 5, 6, 7], [info(5, PERSON), info(6, PERSON), info(7, ROAD)]) == (2.0, 2, 0, 0)


@pytest.mark.parametrize(
    ('pred', 'gt', 'expected'),
    [
        ([A, A, VOID, VOID], [5, 5, 5, 5], (0.0, 0, 1, 1)),  # IoU 2 / 4
        ([A, A, A, VOID, VOID], [5, 5, 5, 5, 5], (0.6, 1, 0, 0)),
        ([A] * 100 + [VOID] * 99, [5] * 199, (100 / 199, 1, 0, 0)),
        ([A] * 100 + [VOID] * 100, [5] * 200, (0.0, 0, 1, 1)),
        ([A, A, A, B], [5, 5, 5, 5], (0.75, 1, 1, 0)),  # the smaller part is wrong
        ([A, A, A, A], [5, 5, 5, 6], (0.75, 1, 0, 1)),  # the smaller one is missed
        ([A, A, B, B], [5, 5, 5, 5], (0.0, 0, 2, 1)),
    ],
)
def test_a_match_needs_more_than_half(pred: list[int], gt: list[int], expected: tuple[float, int, int, int]) -> None:
    assert counts(pred, gt, [info(i, PERSON) for i in set(gt)]) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ('pred', 'gt', 'expected'),
    [
        ([A, A, A, A, A, A], [5, 5, 0, 0, 0, 0], (1.0, 1, 0, 0)),  # void leaves the union
        ([A, A, A, A, A, VOID], [5, 5, 5, 7, 0, 5], (0.6, 1, 0, 0)),  # 3 / (5 + 4 - 3 - 1)
        ([A, A, A, A], [0, 0, 7, 7], (0.0, 0, 1, 0)),  # half on void is wrong
        ([A, A, A, A], [0, 0, 0, 7], (0.0, 0, 0, 0)),  # more is ignored
        ([VOID, VOID, VOID, VOID], [0, 0, 5, 7], (0.0, 0, 0, 1)),
        ([VOID + 3000, VOID, VOID, VOID], [0, 0, 5, 7], (0.0, 0, 0, 1)),  # void of any instance
    ],
)
def test_void(pred: list[int], gt: list[int], expected: tuple[float, int, int, int]) -> None:
    infos = [info(i, {5: PERSON, 7: ROAD}[i]) for i in set(gt) - {0}]
    assert counts(pred, gt, infos) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ('gt', 'expected'),
    [
        ([8, 8, 8, 8], (0.0, 0, 0, 0)),  # a crowd is neither found nor missed, and hides what is on it
        ([8, 8, 8, 7], (0.0, 0, 0, 0)),
        ([8, 8, 7, 7], (0.0, 0, 1, 0)),  # half on it is wrong
        ([8, 8, 0, 7], (0.0, 0, 0, 0)),  # void and crowd together
        ([8, 8, 9, 7], (0.0, 0, 0, 0)),  # two crowds together
        ([6, 6, 6, 7], (0.0, 0, 1, 0)),  # a crowd of cars hides no person
    ],
)
def test_crowds(gt: list[int], expected: tuple[float, int, int, int]) -> None:
    crowds = {6: CAR, 8: PERSON, 9: PERSON}
    infos = [info(i, crowds.get(i, ROAD), iscrowd=i in crowds) for i in set(gt) - {0}]
    assert counts([A, A, A, A], gt, infos) == expected
    assert counts([A, A, A, A], gt, infos, category=CAR) == (0.0, 0, 0, 0)


def test_averages_by_hand() -> None:
    pred = [[A, A, A, B, SKY, SKY, SKY, SKY]]
    gt = [[5, 5, 5, 5, 1, 1, 1, 2]]
    values = evaluate([sample(pred, gt, [info(5, PERSON), info(1, SKY), info(2, ROAD)])])
    # person: IoU 3/4, one prediction wrong; sky: 3/4; road: missed; car: nowhere, and in no average
    person, sky, road = (50.0, 75.0, 100 / 1.5), (75.0, 75.0, 100.0), (0.0, 0.0, 0.0)
    for i, name in enumerate(('PQ', 'SQ', 'RQ')):
        assert values[name] == pytest.approx((person[i] + sky[i] + road[i]) / 3)
        assert values[f'{name}_th'] == pytest.approx(person[i])
        assert values[f'{name}_st'] == pytest.approx((sky[i] + road[i]) / 2)


def test_mean_iou_by_hand() -> None:
    pred, gt = [[A, A, ROAD, VOID, SKY]], [[5, 0, 7, 7, 5]]
    infos = [info(5, PERSON), info(7, ROAD)]
    values = evaluate([sample(pred, gt, infos)], metric=['mIoU'])
    # person, road, sky; the second pixel is void
    assert values == {'mIoU': pytest.approx(100 * (1 / 2 + 1 / 2 + 0) / 3)}
    semantic = dict(sem_seg=torch.tensor([[[PERSON, CAR, ROAD, ROAD, PERSON]]]))
    assert evaluate([sample(pred, gt, infos, pred_sem_seg=semantic)], metric='mIoU') == {'mIoU': 100.0}


def test_maps_in_uint8_keep_their_labels() -> None:
    names = tuple(map(str, range(250)))
    one = sample([[0]], [[1]], [dict(id=1, category=240, is_thing=False, iscrowd=0)])
    one['pred_panoptic_seg']['sem_seg'] = torch.tensor([[[240]]], dtype=torch.uint8)
    values = evaluate([one], dict(classes=names, thing_classes=(), stuff_classes=names), metric=['PQ', 'mIoU'])
    assert values['PQ'] == values['mIoU'] == 100.0


# Through mmengine -----------------------------------------------------------------------------------------------------


def random_sample(seed: int) -> dict[str, Any]:
    """A map of blocks and a prediction that differs in some."""
    rng = np.random.default_rng(seed)
    gt = rng.integers(0, 6, (4, 5)).repeat(4, 0).repeat(4, 1)
    infos = [info(int(i), int(i) % 4, iscrowd=int(i == 5)) for i in np.unique(gt) if i]
    wrong = rng.random(gt.shape) < 0.2
    value = np.array([VOID, CAR + 1000, SKY, ROAD, PERSON + 1000, CAR + 2000])[gt]
    pred = np.where(wrong, rng.permutation(value.ravel()).reshape(gt.shape), value)
    ids = [int(v) for v in np.unique(pred) if v % 1000 in (PERSON, CAR)]
    instances = dict(
        labels=torch.tensor(ids) % 1000, scores=torch.tensor(rng.random(len(ids))), panoptic_ids=torch.tensor(ids)
    )
    return sample(pred, gt, infos, pred_instances=instances)


def test_returned_names() -> None:
    groups = [q + s for s in ('', '_th', '_st') for q in ('PQ', 'SQ', 'RQ')]
    assert list(evaluate([random_sample(0)])) == groups
    values = evaluate([random_sample(0)], metric=['PQ', 'mIoU', 'AP'], classwise=True, prefix='val')
    assert list(values) == [f'val/{n}' for n in (*groups, *(f'PQ/{c}' for c in META['classes']), 'mIoU', 'AP', 'AP50')]
    assert all(type(v) is float for v in values.values())


def test_the_table_names_every_class(monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[str] = []
    monkeypatch.setattr('hyctas_mm.evaluation.panoptic_quality.print_log', lambda text, logger: logged.append(text))
    values = evaluate([sample([[A, ROAD]], [[1, 2]], [info(1, PERSON), info(2, SKY)])], classwise=True)
    assert values['PQ/person'] == 100 and values['PQ/sky'] == 0 and math.isnan(values['PQ/car'])
    lines = {
        line.split('│')[1].strip(): line.split('│')[2].strip() for line in logged[0].splitlines() if line.count('│') > 3
    }
    assert lines == {
        'person': '100.00',
        'car': '-',
        'sky': '0.00',
        'road': '0.00',
        'things': '100.00',
        'stuff': '0.00',
        'all': '33.33',
    }


def test_through_the_evaluator_with_data_elements() -> None:
    raw = random_sample(1)
    element = BaseDataElement(metainfo=dict(img_path='a.png', gt_segments_info=raw['gt_segments_info']))
    element.pred_panoptic_seg = PixelData(sem_seg=raw['pred_panoptic_seg']['sem_seg'])
    element.gt_panoptic_seg = PixelData(sem_seg=raw['gt_panoptic_seg']['sem_seg'])
    element.pred_instances = InstanceData(**raw['pred_instances'])
    evaluator = Evaluator([METRICS.build(dict(type='PanopticQuality', metric=['PQ', 'AP']))])
    evaluator.dataset_meta = META
    evaluator.process([element], None)
    assert evaluator.evaluate(1) == evaluate([raw], metric=['PQ', 'AP'])


def test_sums_of_two_halves_equal_those_of_all() -> None:
    parts = []
    for seed in range(6):
        one = random_sample(seed)
        parts.append(
            sums_of(
                one['pred_panoptic_seg']['sem_seg'][0], one['gt_panoptic_seg']['sem_seg'][0], one['gt_segments_info']
            )
        )
    halves = reduce(add, parts[::2]) + reduce(add, parts[1::2])
    np.testing.assert_allclose(as_table(halves), as_table(reduce(add, parts, PanopticSums.zero(4))), rtol=0, atol=1e-12)


def test_what_is_gathered_is_small() -> None:
    one = sample(np.full((512, 512), ROAD), np.full((512, 512), 3), [info(3, ROAD)])
    metric = PanopticQuality(metric=['PQ', 'mIoU'])
    metric.dataset_meta = META
    metric.process(None, [one])
    assert len(metric.results) == 1 and len(pickle.dumps(metric.results)) < 2000


# AP -------------------------------------------------------------------------------------------------------------------


def instances(ids: list[int], scores: list[float]) -> dict[str, torch.Tensor]:
    return dict(
        labels=torch.tensor(ids, dtype=torch.int64) % 1000,
        scores=torch.tensor(scores),
        panoptic_ids=torch.tensor(ids, dtype=torch.int64),
    )


def ap(
    pred: list[int], gt: list[int], infos: Sequence[dict[str, Any]], pred_instances: dict[str, torch.Tensor]
) -> tuple[float, float]:
    values = evaluate([sample([pred], [gt], infos, pred_instances=pred_instances)], metric=['AP'])
    return values['AP'], values['AP50']


def test_ap_by_hand() -> None:
    # 0.50, 0.55, 0.60 of ten
    assert ap([A] * 62 + [VOID] * 38, [1] * 100, [info(1, PERSON)], instances([A], [0.9])) == pytest.approx((30, 100))
    assert ap([VOID] * 4, [1] * 4, [info(1, PERSON)], instances([], [])) == (0, 0)
    half = {**instances([A], [0.9]), 'scores': torch.tensor([0.9], dtype=torch.bfloat16)}
    assert ap([A], [1], [info(1, PERSON)], half) == pytest.approx((100, 100))
    two, good_first, bad_first = (
        [info(1, PERSON), info(7, ROAD)],
        instances([A, B], [0.9, 0.1]),
        instances([A, B], [0.1, 0.9]),
    )
    assert ap([A, B], [1, 7], two, good_first) == pytest.approx((100, 100))
    assert ap([A, B], [1, 7], two, bad_first) == pytest.approx((50, 50))


def test_ap_ignores_crowds_and_stuff() -> None:
    crowd = [info(1, PERSON), info(2, PERSON, iscrowd=1), info(7, ROAD)]
    found = instances([A, B, 3000], [0.1, 0.8, 0.9])  # two on the crowd, of which one at most could match anything else
    assert ap([A, B, 3000, ROAD], [1, 2, 2, 7], crowd, found) == pytest.approx((100, 100))
    assert ap([A, B, ROAD], [1, 7, 7], [crowd[0], crowd[2]], instances([A, B], [0.1, 0.9])) == pytest.approx((50, 50))


def test_ap_of_masks_equals_ap_of_the_ids_they_are_cut_from() -> None:
    with_ids, with_masks = [random_sample(seed) for seed in range(4)], [random_sample(seed) for seed in range(4)]
    for one in with_masks:
        ids = one['pred_instances'].pop('panoptic_ids')
        # (1, H, W), (N, 1, 1) -> (N, H, W)
        one['pred_instances']['masks'] = one['pred_panoptic_seg']['sem_seg'] == ids[:, None, None]
    values = evaluate(with_ids, metric=['AP'])
    assert values == evaluate(with_masks, metric=['AP']) and 0 < values['AP'] < values['AP50']


@given(st.lists(st.lists(st.integers(0, 3), min_size=5, max_size=5), min_size=1, max_size=5))
def test_run_lengths_equal_those_of_pycocotools(rows: list[list[int]]) -> None:
    values = np.array(rows)
    expected = [mask_utils.encode(np.asfortranarray(values == i, dtype=np.uint8)) for i in range(4)]
    assert encode_segments(torch.tensor(values), np.arange(4)) == expected


def test_ap_without_pycocotools_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'pycocotools', None)
    monkeypatch.setitem(sys.modules, 'pycocotools.mask', None)
    PanopticQuality(metric=['PQ', 'mIoU'])
    with pytest.raises(ImportError, match='pip install pycocotools'):
        PanopticQuality(metric=['AP'])


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(labels=None), "pred_instances lacks 'labels'"),
        (dict(scores=None), "pred_instances lacks 'scores'"),
        (dict(panoptic_ids=None), "neither 'masks' nor 'panoptic_ids'"),
        (dict(scores=[0.5, 0.5]), r'labels \(1,\) and scores \(2,\)'),
        (dict(scores=[float('nan')]), 'scores .nan., expected finite|scores .nan.; expected finite'),
        (dict(labels=[ROAD]), r'labels \[3\], which are no things; expected some of \[0, 1\]'),
        (dict(labels=[CAR]), 'label 1 for the panoptic id 1000, whose label is 0'),
        (dict(panoptic_ids=[A, A]), r'panoptic_ids \(2,\) for 1 labels'),
        (dict(panoptic_ids=[5000]), r'panoptic_ids \[5000\] have no pixel'),
        (dict(masks=[[[True]]]), r'masks \(1, 1, 1\), expected \(1, 1, 2\)'),
    ],
)
def test_bad_instances(change: dict[str, Any], message: str) -> None:
    entry = {**instances([A], [0.5]), **{k: None if v is None else torch.tensor(v) for k, v in change.items()}}
    one = sample(
        [[A, ROAD]],
        [[1, 2]],
        [info(1, PERSON), info(2, ROAD)],
        pred_instances={k: v for k, v in entry.items() if v is not None},
    )
    with pytest.raises(ValueError, match=f'image street.png: .*{message}'):
        evaluate([one], metric=['AP'])


# Defined ends ---------------------------------------------------------------------------------------------------------


def test_an_empty_prediction_misses_everything() -> None:
    empty = sample([[VOID, VOID]], [[1, 2]], [info(1, PERSON), info(2, ROAD)], pred_instances=instances([], []))
    values = evaluate([empty], metric=['PQ', 'mIoU', 'AP'])
    assert set(values.values()) == {0.0}


def test_an_image_without_instances() -> None:
    one = sample([[ROAD, ROAD]], [[2, 2]], [info(2, ROAD)], pred_instances=instances([], []))
    values = evaluate([one], metric=['PQ', 'mIoU', 'AP'])
    assert values['PQ'] == values['PQ_st'] == values['mIoU'] == 100
    assert all(math.isnan(values[name]) for name in ('PQ_th', 'SQ_th', 'RQ_th', 'AP', 'AP50'))


def test_an_image_of_nothing_but_void() -> None:
    nothing = sample([[A, VOID]], [[0, 0]], [], pred_instances=instances([A], [0.5]))
    assert all(map(math.isnan, evaluate([nothing], metric=['PQ', 'mIoU', 'AP']).values()))
    full = sample([[A, ROAD]], [[1, 2]], [info(1, PERSON), info(2, ROAD)], pred_instances=instances([A], [0.5]))
    assert evaluate([nothing, full])['PQ'] == 100


# Refused --------------------------------------------------------------------------------------------------------------

GOOD_INFOS = [info(1, PERSON), info(2, ROAD)]


def without(key: str) -> dict[str, Any]:
    return {k: v for k, v in sample([[A, ROAD]], [[1, 2]], GOOD_INFOS).items() if k != key}


@pytest.mark.parametrize(
    ('bad', 'message'),
    [
        (
            sample([[A, ROAD, ROAD]], [[1, 7, 9]], GOOD_INFOS[:1]),
            r'ids \[7, 9\] are in the ground-truth map and not in segments_info',
        ),
        (sample([[A, ROAD]], [[1, 1]], GOOD_INFOS), r'ids \[2\] are in segments_info and have no pixel'),
        (sample([[A, ROAD]], [[1, 2]], [*GOOD_INFOS, info(2, SKY)]), r'ids \[2\] are in segments_info more than once'),
        (sample([[A], [A]], [[1, 2]], GOOD_INFOS), r'prediction is 2x1 \(height x width\) and the ground truth 1x2'),
        (sample([[A, 5]], [[1, 2]], GOOD_INFOS), r'labels \[5\], expected 0 to 3 or 4 for void'),
        (sample([[A, 3000 + 999]], [[1, 2]], GOOD_INFOS), r'labels \[999\], expected 0 to 3'),
        (sample([[A, -1]], [[1, 2]], GOOD_INFOS), r'negative values \[-1\]'),
        (
            sample([[A, ROAD]], [[1, 2]], [GOOD_INFOS[0], info(2, 4, is_thing=False)]),
            'segment 2 has category 4, .* from 0 to 3',
        ),
        (sample([[A, ROAD]], [[1, 2]], [GOOD_INFOS[0], info(2, -1, is_thing=False)]), 'segment 2 has category -1'),
        (
            sample([[A, ROAD]], [[1, 2]], [GOOD_INFOS[0], info(2, ROAD, is_thing=True)]),
            'segment 2 has is_thing=True, .* is a stuff class',
        ),
        (sample([[A, ROAD]], [[1, 2]], [GOOD_INFOS[0], info(0, ROAD)]), 'has the id 0; ids must be above 0'),
        (sample([[A, ROAD]], [[1, 2]], [dict(id=1, category=0)]), r"lacks \['is_thing', 'iscrowd'\]"),
        (
            {**without(''), 'pred_panoptic_seg': dict(sem_seg=torch.zeros(1, 1, 2))},
            'pred_panoptic_seg is of type torch.float32, expected integers',
        ),
        (
            {**without(''), 'pred_panoptic_seg': dict(sem_seg=torch.zeros(1, 2).int())},
            r'of shape \(1, 2\), expected \(1, height, width\)',
        ),
        ({**without(''), 'gt_panoptic_seg': dict(masks=0)}, r"gt_panoptic_seg lacks 'sem_seg', has \['masks'\]"),
        (without('pred_panoptic_seg'), "lacks 'pred_panoptic_seg', has .*'gt_panoptic_seg'"),
        (without('gt_panoptic_seg'), "lacks 'gt_panoptic_seg'"),
        (without('gt_segments_info'), "lacks 'gt_segments_info'"),
    ],
)
def test_bad_samples_are_named(bad: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f'image street.png: .*{message}'):
        evaluate([bad])


def test_bad_semantic_predictions_and_missing_instances() -> None:
    for labels, message in (([[[PERSON, 255]]], r'labels \[255\]'), ([[[PERSON]]], 'prediction is 1x1')):
        with pytest.raises(ValueError, match=message):
            evaluate([{**without(''), 'pred_sem_seg': dict(sem_seg=torch.tensor(labels))}], metric=['mIoU'])
    with pytest.raises(ValueError, match="lacks 'pred_instances'"):
        evaluate([without('')], metric=['AP'])


@pytest.mark.parametrize('metrics', [['PQ', 'miou'], 'pq', []])
def test_unknown_metrics_name_the_known(metrics: Any) -> None:
    with pytest.raises(ValueError, match=r"one or more of \['PQ', 'mIoU', 'AP'\]"):
        PanopticQuality(metric=metrics)


@pytest.mark.parametrize(
    ('meta', 'message'),
    [
        (None, 'dataset_meta lacks'),
        (dict(classes=('a',)), r"lacks \['thing_classes', 'stuff_classes'\]"),
        (dict(classes=('a', 'b'), thing_classes=('a',), stuff_classes=()), 'in one of thing_classes and stuff_classes'),
        (dict(classes=('a',), thing_classes=('a',), stuff_classes=('a',)), 'in one of thing_classes and stuff_classes'),
        (dict(classes=('a', 'a'), thing_classes=('a', 'a'), stuff_classes=()), 'once'),
        (dict(classes=(), thing_classes=(), stuff_classes=()), '0 classes'),
        (
            dict(classes=tuple(map(str, range(1000))), thing_classes=tuple(map(str, range(1000))), stuff_classes=()),
            '1000 classes',
        ),
    ],
)
def test_bad_dataset_meta(meta: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate([without('')], meta=meta)


def test_the_encoding_is_that_of_mmdet() -> None:
    """Three packages that may not import each other write the number down."""
    theirs = pytest.importorskip('mmdet.evaluation', exc_type=ImportError)
    from hyctas_mm.models import post_processing

    assert theirs.INSTANCE_OFFSET == INSTANCE_OFFSET == OFFSET_OF_OVERLAYS == post_processing.INSTANCE_OFFSET


# Real images ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope='module')
def coco(real_data: Path) -> tuple[list[tuple[np.ndarray, list[dict[str, Any]]]], dict[str, Any]]:
    """Maps of ids with their segments of 20 validation images, those with crowds among them, and the metainfo."""
    folder = real_data / 'coco200_panoptic'
    if not folder.exists():
        pytest.skip(f'no {folder}')
    content = json.loads((folder / 'panoptic_val.json').read_text())
    contiguous = {category['id']: i for i, category in enumerate(content['categories'])}
    is_thing = [bool(category['isthing']) for category in content['categories']]
    names = [category['name'] for category in content['categories']]
    by_crowd = sorted(content['annotations'], key=lambda a: -sum(s['iscrowd'] for s in a['segments_info']))
    loaded = []
    for annotation in by_crowd[:20]:
        rgb = np.asarray(Image.open(folder / 'panoptic_val' / annotation['file_name']).convert('RGB')).astype(np.int64)
        segments = [(s['id'], contiguous[s['category_id']], s['iscrowd']) for s in annotation['segments_info']]
        infos = [dict(id=i, category=c, iscrowd=crowd, is_thing=is_thing[c]) for i, c, crowd in segments]
        loaded.append((rgb @ [1, 256, 65536], infos))  # (H, W, 3) -> (H, W)
    things = [n for n, thing in zip(names, is_thing) if thing]
    return loaded, dict(classes=names, thing_classes=things, stuff_classes=[n for n in names if n not in things])


def as_prediction(gt: np.ndarray, infos: Sequence[dict[str, Any]], void: int) -> np.ndarray:
    """The truth in the encoding of predictions."""
    pred = np.full_like(gt, void)
    for number, segment in enumerate(infos, 1):
        pred[gt == segment['id']] = segment['category'] + number * INSTANCE_OFFSET * segment['is_thing']
    return pred


def damaged(pred: np.ndarray, void: int, rng: np.random.Generator) -> np.ndarray:
    """Moved a little, then a segment removed, two merged and the labels of two swapped."""
    pred = np.roll(pred, rng.integers(-2, 3, size=2), axis=(0, 1))
    values = np.unique(pred[pred % INSTANCE_OFFSET != void])
    removed, merged, into, one, other = rng.choice(values, 5)
    damage = pred.copy()
    damage[pred == removed] = void
    damage[pred == merged] = into
    damage[pred == one] = one - one % INSTANCE_OFFSET + other % INSTANCE_OFFSET
    damage[pred == other] = other - other % INSTANCE_OFFSET + one % INSTANCE_OFFSET
    return damage


def test_real_truth_against_itself_is_perfect(coco: Any) -> None:
    loaded, meta = coco
    samples = []
    for gt, infos in loaded:
        pred = as_prediction(gt, infos, len(meta['classes']))
        ids = [int(v) for v in np.unique(pred) if v >= INSTANCE_OFFSET]
        samples.append(sample(pred, gt, infos, pred_instances=instances(ids, [0.5] * len(ids))))
    assert any(segment['iscrowd'] for _, infos in loaded for segment in infos)
    values = evaluate(samples, meta, metric=['PQ', 'mIoU', 'AP'])
    assert list(values.values()) == pytest.approx([100.0] * 12)


def test_real_truth_damaged_equals_the_brute_force(coco: Any) -> None:
    loaded, meta = coco
    num_classes, rng = len(meta['classes']), np.random.default_rng(0)
    samples, expected = [], np.zeros((num_classes, 4))
    for full_gt, all_infos in loaded:
        gt = full_gt[::8, ::8]
        infos = [segment for segment in all_infos if (gt == segment['id']).any()]
        pred = damaged(as_prediction(gt, infos, num_classes), num_classes, rng)
        samples.append(sample(pred, gt, infos))
        one = brute_force_sums(pred, gt, infos, num_classes)
        np.testing.assert_allclose(as_table(sums_of(pred, gt, infos, num_classes)), one, rtol=0, atol=1e-9)
        expected += one
    assert (expected[:, 1:].sum(axis=0) > 20).all(), 'matches, wrong and missed segments'
    values = evaluate(samples, meta)
    for name, value in brute_force_quality(expected).items():
        assert values[name] == pytest.approx(value, abs=1e-9)
