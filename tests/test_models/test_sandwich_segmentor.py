from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from hyctas_mm.archs import Architecture, SearchSpace
from hyctas_mm.archs.extremes import largest, smallest
from hyctas_mm.models import set_arch
from hyctas_mm.models.segmentors.sandwich_segmentor import distillation_loss
from hyctas_mm.models.subnet import cut_subnet
from hyctas_mm.registry import MODELS
from tests.conftest import WIDE, supernet_cfg

SMALL = dict(layers=4, base_channels=4, low_levels=['none', 's4'])


def build(kind: str = 'SandwichSegmentor', space: dict[str, Any] = SMALL) -> Any:
    torch.manual_seed(0)
    model = MODELS.build(supernet_cfg(space) | dict(type=kind))
    model.init_weights()
    return model.train()


def batch(size: int = 2) -> dict[str, Any]:
    torch.manual_seed(1)
    samples = [SegDataSample(gt_sem_seg=PixelData(data=torch.randint(0, 5, (1, 32, 64)))) for _ in range(size)]
    return dict(inputs=torch.randn(size, 3, 32, 64), data_samples=samples)


def archs_of(space: dict[str, Any] = SMALL) -> tuple[Architecture, ...]:
    whole = SearchSpace.from_dict(space)
    return largest(whole), smallest(whole), whole.sample(np.random.default_rng(3), 2)


def gradients(model: Any) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_distillation_loss_against_its_definition() -> None:
    logits, targets = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5, requires_grad=True)
    p, q = targets.softmax(1), logits.softmax(1)
    torch.testing.assert_close(distillation_loss(logits, targets), (p * (p / q).log()).sum(1).mean())
    assert not distillation_loss(logits, targets).requires_grad, 'nothing flows into the teacher'
    assert distillation_loss(targets, targets).item() == pytest.approx(0, abs=1e-6)
    assert distillation_loss(torch.full((1, 2, 1, 1), 3e4).half(), torch.randn(1, 2, 4, 4).half()).isfinite()


def test_one_step_is_the_average_of_the_networks_on_their_own() -> None:
    """Gradients of the joint graph against those of one network after another."""
    archs, data = archs_of(), batch()
    # in float the gradients that are nearly 0 are noise
    model, plain = (
        build().double(),
        build('EncoderDecoder').double(),
    )
    data['inputs'] = data['inputs'].double()
    assert plain.load_state_dict(model.state_dict()).missing_keys == [], 'a checkpoint serves both'
    model.step_archs = archs
    losses = model(**data, mode='loss')
    total, log = model.parse_losses(losses)
    total.backward()
    assert (
        set(losses) >= {'largest.decode.loss_ce', 'student0.loss_distill', 'student1.loss_distill'}
        and 'largest.decode.acc_seg' in log
    )

    set_arch(plain, archs[0])
    own, _ = plain.parse_losses(plain(**data, mode='loss'))
    own.backward()
    with torch.no_grad():
        targets = plain(data['inputs'], mode='tensor')
    for student in archs[1:]:
        set_arch(plain, student)
        distillation_loss(plain(data['inputs'], mode='tensor'), targets).backward()
    expected = gradients(plain)
    found = gradients(model)
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        torch.testing.assert_close(
            gradient * 3, expected[name], rtol=0, atol=1e-4 * float(expected[name].abs().max()) + 1e-12, msg=name
        )


def test_spaces_with_everything() -> None:
    """Low-level fusion of the teacher, none of the student: predictions of different sizes."""
    model = build(space=WIDE)
    model.step_archs = archs_of(WIDE)
    total, _ = model.parse_losses(model(**batch(), mode='loss'))
    total.backward()
    assert all(g.isfinite().all() for g in gradients(model).values())


def test_without_architectures_it_is_an_encoder_decoder() -> None:
    model, plain, data = build(), build('EncoderDecoder'), batch()
    for net in (model, plain):
        set_arch(net, archs_of()[2])
    found, expected = model(**data, mode='loss'), plain(**data, mode='loss')
    assert found.keys() == expected.keys()
    for key, value in found.items():
        torch.testing.assert_close(value, expected[key])


def test_a_network_cut_out_of_it_trains() -> None:
    arch = archs_of()[2]
    model = build()
    model.step_archs = archs_of()
    subnet = cut_subnet(model, supernet_cfg(SMALL) | dict(type='SandwichSegmentor'), arch)
    assert 'decode.loss_ce' in subnet(**batch(), mode='loss')


def test_mixed_precision() -> None:
    model = build()
    model.step_archs = archs_of()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = model(**batch(), mode='loss')
    total, _ = model.parse_losses(losses)
    total.backward()
    assert losses['student0.loss_distill'].dtype == torch.float32
    assert all(g.isfinite().all() for g in gradients(model).values())
