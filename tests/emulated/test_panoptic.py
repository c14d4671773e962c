"""Panoptic losses, grouping and quality on an emulated GPU."""

from __future__ import annotations

from typing import Any

import pytest
import torch

pytest.importorskip('mmcv._ext', reason='mmdet needs mmcv with compiled operators')

from mmengine.registry import DefaultScope

from hyctas_mm.engine.candidate_costs import training_loss, training_network
from hyctas_mm.evaluation import PanopticQuality
from hyctas_mm.models.post_processing import PanopticResult, panoptic_from_maps
from tests.emulated.real import AnyCuda
from tests.emulated.test_training import SIZE, TYPES, optimiser

SCENE = dict(num_things=2, stuff_area=10)


def detector() -> dict[str, Any]:
    fixed = dict(arch='hyctas-s', base_channels=2)
    head = dict(type='HyCTASPanopticHead', **fixed, num_things_classes=2, num_stuff_classes=3)
    return dict(
        type='PanopticDeepLab', backbone=dict(type='HyCTASBackbone', **fixed, outputs='branches'), panoptic_head=head
    )


@TYPES
def test_a_step(cuda: AnyCuda, dtype: torch.dtype) -> None:
    net = training_network(detector(), 'mmdet').to('cuda')
    steps = optimiser(net)
    cuda.waits.clear()
    cuda.uploads.clear()
    with torch.device('cuda'), torch.autocast('cuda', dtype, enabled=dtype != torch.float32):
        loss = training_loss(net, 2, SIZE)
    steps.update_params(loss)
    assert not cuda.waits and not cuda.uploads and loss.isfinite().item()


@pytest.mark.slow
@TYPES
def test_a_step_on_fake_tensors(fake_cuda: None, dtype: torch.dtype) -> None:
    net = training_network(detector(), 'mmdet')
    with torch.autocast('cuda', dtype, enabled=dtype != torch.float32):
        loss = training_loss(net, 2, SIZE)
    loss.backward()
    assert {p.grad.device.type for p in net.parameters() if p.grad is not None} == {'cuda'}


def maps() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Three instances of two classes on stuff, as a network would predict them."""
    height, width = 24, 40
    semantic, center = torch.zeros(5, height, width), torch.zeros(1, height, width)
    offset, semantic[3] = torch.zeros(2, height, width), 1.0
    for label, top, left in ((0, 2, 2), (1, 3, 20), (0, 14, 28)):
        rows, columns = slice(top, top + 7), slice(left, left + 9)
        semantic[label, rows, columns], center[0, top + 3, left + 4] = 5.0, 0.5 + 0.1 * label
        offset[0, rows, columns] = torch.arange(3.0, -4, -1)[:, None]
        offset[1, rows, columns] = torch.arange(4.0, -5, -1)
    return semantic, center, offset


@TYPES
def test_grouping(cuda: AnyCuda, dtype: torch.dtype) -> None:
    on_cpu = panoptic_from_maps(*(m.to(dtype) for m in maps()), **SCENE)
    there = [m.to('cuda', dtype) for m in maps()]
    cuda.waits.clear()
    found = panoptic_from_maps(*there, **SCENE)
    assert len(cuda.waits) <= 5, f'{len(cuda.waits)} for an image: {cuda.waits}'
    assert len(found.labels) == 3
    for name in PanopticResult.__dataclass_fields__:
        torch.testing.assert_close(getattr(found, name).cpu(), getattr(on_cpu, name))


def test_quality(cuda: AnyCuda) -> None:
    metric = PanopticQuality(['PQ', 'mIoU'])
    metric.dataset_meta = dict(classes=list('abcde'), thing_classes=['a', 'b'], stuff_classes=['c', 'd', 'e'])
    result = panoptic_from_maps(*(m.to('cuda') for m in maps()), **SCENE)
    truth = result.panoptic.cpu() + 1
    labels = {int(value): int(value - 1) % 1000 for value in truth.unique()}
    infos = [dict(id=key, category=label, is_thing=label < 2, iscrowd=False) for key, label in labels.items()]
    sample = dict(
        pred_panoptic_seg=dict(sem_seg=result.panoptic[None]),
        gt_panoptic_seg=dict(sem_seg=truth[None].int().to('cuda')),
        gt_segments_info=infos,
        pred_sem_seg=dict(sem_seg=result.semantic[None]),
    )
    cuda.waits.clear()
    with DefaultScope.overwrite_default_scope('mmdet'):
        metric.process({}, [sample])
    assert len(cuda.waits) <= 4, f'more than two for PQ and two for mIoU: {cuda.waits}'
    assert metric.compute_metrics(metric.results)['PQ'] == 100
