from __future__ import annotations

from typing import Any

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.models.losses import CrossEntropyLoss
from mmseg.structures import SegDataSample
from torch import Tensor

from hyctas_mm.models.backbones import HyCTASBackbone
from hyctas_mm.models.decode_heads import HyCTASHead
from hyctas_mm.models.layers import resize
from hyctas_mm.models.losses import UpsampledCELoss

NETWORK = dict(arch='hyctas-s', base_channels=2)


def labels_with_void(*shape: int) -> Tensor:
    return torch.randint(0, 5, shape).masked_fill(torch.rand(shape) < 0.2, 255)


@pytest.mark.parametrize('weighted', [False, True])
@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('size', [(24, 40), (21, 37), (6, 10)])
def test_value_and_gradient_are_those_of_mmseg(
    size: tuple[int, int], align_corners: bool, layout: torch.memory_format, weighted: bool
) -> None:
    torch.manual_seed(0)
    logits = (torch.randn(3, 5, 6, 10) * 4).to(memory_format=layout)
    logits[0, 2, 0, 0] = 300.0  # exp would overflow
    labels, found = labels_with_void(3, *size), []
    weight = torch.randint(0, 4, labels.shape).float() if weighted else None
    for loss in (
        lambda x: UpsampledCELoss(0.4)(x, labels, align_corners, weight=weight),
        lambda x: CrossEntropyLoss(loss_weight=0.4)(resize(x, size, align_corners), labels, weight, ignore_index=255),
    ):
        x = logits.clone().requires_grad_()
        value = 3 * loss(x)
        value.backward()
        found.append((value.detach(), x.grad))
    torch.testing.assert_close(*found, rtol=1e-5, atol=1e-6)


def test_products_stay_float32_under_autocast() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 5, 6, 10), labels_with_void(2, 24, 40)
    expected = UpsampledCELoss()(logits, labels)
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(UpsampledCELoss()(logits, labels), expected)


def test_void_alone_costs_nothing() -> None:
    logits = torch.randn(2, 5, 6, 10, requires_grad=True)
    loss = UpsampledCELoss()(logits, torch.full((2, 24, 40), 255))
    loss.backward()
    assert loss.item() == 0 and not logits.grad.any()


def test_the_head_gives_it_small_logits() -> None:
    torch.manual_seed(0)
    backbone = HyCTASBackbone(outputs='branches', **NETWORK).train()
    features = backbone(torch.randn(2, 3, 64, 64))
    samples = [SegDataSample(gt_sem_seg=PixelData(data=labels_with_void(1, 64, 64))) for _ in range(2)]
    head = HyCTASHead(num_classes=5, loss_decode=dict(type='CrossEntropyLoss'), **NETWORK).train()
    expected = head.loss(features, samples, None)
    lean = HyCTASHead(num_classes=5, loss_decode=dict(type='UpsampledCELoss'), **NETWORK).train()
    lean.load_state_dict(head.state_dict())
    found = lean.loss(features, samples, None)
    del expected['acc_seg']
    torch.testing.assert_close(dict(found), dict(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    'options',
    [
        dict(loss_decode=[dict(type='UpsampledCELoss'), dict(type='CrossEntropyLoss')]),
        dict(loss_decode=dict(type='UpsampledCELoss'), sampler=dict(type='OHEMPixelSampler', min_kept=10)),
    ],
)
def test_it_stands_alone(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match='UpsampledCELoss'):
        HyCTASHead(num_classes=5, **NETWORK, **options)
