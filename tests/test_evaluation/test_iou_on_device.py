"""Our way of counting beside mmseg's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmseg.evaluation import IoUMetric

from hyctas_mm.evaluation.iou_on_device import IoUOnDevice


@given(
    seed=st.integers(0, 2**31),
    classes=st.integers(2, 30),
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    ignored=st.sampled_from([0, 20, 255]),
)
def test_areas_are_those_of_mmseg(seed: int, classes: int, height: int, width: int, ignored: int) -> None:
    rng = np.random.default_rng(seed)
    pred = torch.from_numpy(rng.integers(0, classes, (height, width)))
    label = torch.from_numpy(rng.choice([*range(classes + 3), 254, 255], (height, width)))
    theirs = IoUMetric.intersect_and_union(pred, label, classes, ignored)
    for ours, expected in zip(IoUOnDevice.intersect_and_union(pred, label, classes, ignored), theirs, strict=True):
        assert ours.tolist() == expected.tolist()


def test_an_image_leaves_its_areas_and_nothing_else() -> None:
    pred, label = torch.zeros(2, 4, 4, dtype=torch.int64)
    areas = IoUOnDevice.intersect_and_union(pred, label, 150, 255)
    assert [area.untyped_storage().nbytes() for area in areas] == [150 * 8] * 4


@pytest.mark.parametrize('metrics', [['mIoU'], ['mIoU', 'mDice', 'mFscore']])
def test_metrics_are_those_of_mmseg(metrics: list[str]) -> None:
    theirs = IoUMetric(iou_metrics=metrics, ignore_index=7, nan_to_num=0, prefix='val')
    ours = IoUOnDevice.like(theirs)
    assert isinstance(ours, IoUOnDevice) and ours.prefix == 'val'
    rng = np.random.default_rng(0)

    def sample() -> dict[str, Any]:
        pred, label = (torch.from_numpy(rng.integers(0, n, (1, 30, 40))) for n in (5, 8))
        return dict(pred_sem_seg=dict(data=pred), gt_sem_seg=dict(data=label.to(torch.uint8)))

    samples = [sample() for _ in range(7)]
    for metric in (theirs, ours):
        metric.dataset_meta = dict(classes=list('abcde'))
        metric.process({}, samples)
    assert ours.compute_metrics(ours.results) == theirs.compute_metrics(theirs.results)


def test_other_metrics_stay_as_they_are(tmp_path: Any) -> None:
    class Own(IoUMetric):
        pass

    for metric in (Own(), IoUMetric(output_dir=str(tmp_path)), object()):
        assert IoUOnDevice.like(metric) is metric
