"""The scores of a constant prediction are what the metrics give it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.structures import PixelData
from mmseg.evaluation import IoUMetric
from mmseg.structures import SegDataSample

from hyctas_mm.evaluation import PanopticQuality
from hyctas_mm.evaluation.constant_prediction import ConstantPrediction

THINGS, CLASSES = ('cell', 'cat'), ('cell', 'cat', 'sky', 'road')
META = dict(classes=CLASSES, thing_classes=THINGS, stuff_classes=CLASSES[2:])


def panoptic_sample(rng: np.random.Generator, num: int, predicted: int) -> dict[str, Any]:
    """Few segments of random classes, void among them; the prediction is one class everywhere."""
    ids = rng.choice(num + 1, size=(6, 7), p=rng.dirichlet(np.full(num + 1, 0.5)))
    infos = []
    for number in np.unique(ids[ids > 0]):
        category = int(rng.integers(4))
        crowd = int(category < 2 and rng.random() < 0.3)
        infos.append(dict(id=int(number), category=category, is_thing=category < 2, iscrowd=crowd))
    return dict(
        gt_panoptic_seg=dict(sem_seg=torch.tensor(ids)[None]),
        gt_segments_info=infos,
        pred_panoptic_seg=dict(sem_seg=torch.full((1, 6, 7), predicted + 1000 * (predicted < 2))),
    )


@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_panoptic(seed: int, num: int) -> None:
    values, told = [], None
    for predicted in range(4):
        rng = np.random.default_rng(seed)
        samples = [panoptic_sample(rng, num, predicted) for _ in range(3)]
        metric, told = PanopticQuality(metric=['PQ', 'mIoU']), ConstantPrediction(META)
        metric.dataset_meta = META
        metric.process(None, samples)
        told.process(samples)
        values.append(metric.compute_metrics(metric.results))
        annotated = {info['category'] for sample in samples for info in sample['gt_segments_info']}
        assert told.never_predicted() == [CLASSES[c] for c in sorted(annotated - {predicted})]
    if annotated:
        for name in ('PQ', 'mIoU'):
            assert told.scores()[name] == pytest.approx(np.nanmax([v[name] for v in values]))


@given(st.integers(0, 2**32 - 1))
def test_semantic(seed: int) -> None:
    labels = np.random.default_rng(seed).choice([0, 1, 2, 3, 255], size=(2, 5, 5), p=[0.5, 0.2, 0.1, 0, 0.2])
    values = []
    for predicted in range(4):
        metric, told = IoUMetric(iou_metrics=['mIoU'], prefix=''), ConstantPrediction(META)
        metric.dataset_meta = META
        samples = []
        for label in labels:
            truth = PixelData(data=torch.tensor(label)[None])
            sample = SegDataSample(gt_sem_seg=truth, pred_sem_seg=PixelData(data=torch.full((1, 5, 5), predicted)))
            samples.append(sample.to_dict())
        metric.process(None, samples)
        told.process(samples)
        values.append(metric.compute_metrics(metric.results)['mIoU'])
    assert told.scores()['mIoU'] == pytest.approx(np.nanmax(values), abs=0.006)  # mmseg rounds to two digits


def test_nothing_to_tell() -> None:
    told = ConstantPrediction(META)
    told.process([dict(pred_instances=1)])
    assert told.scores() == {} and told.never_predicted() == []
