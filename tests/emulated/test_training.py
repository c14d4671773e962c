"""Training steps on an emulated GPU: every tensor on its device, and nothing in a step waits for it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import nn

from hyctas_mm.archs import SearchSpace
from hyctas_mm.engine.candidate_costs import training_loss, training_network
from hyctas_mm.engine.hooks import GateSparsityHook
from hyctas_mm.measuring import published
from hyctas_mm.models.ops import attention
from hyctas_mm.models.ops.blockwise_attention import small_attention
from hyctas_mm.models.subnet import set_arch
from tests.conftest import supernet_cfg
from tests.emulated.cuda import EmulatedCuda
from tests.emulated.real import AnyCuda
from tests.test_drop_in import read, shrink

SIZE = (32, 64)
TYPES = pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16], ids=['float32', 'bf16'])
HALF = pytest.param(torch.bfloat16, marks=pytest.mark.slow)


def batch(classes: int = 5, count: int = 2) -> dict[str, Any]:
    """Images and labels as a data loader gives them, on the CPU."""
    samples = [
        SegDataSample(
            gt_sem_seg=PixelData(data=torch.randint(0, classes, (1, *SIZE))),
            metainfo=dict(img_shape=SIZE, ori_shape=SIZE, pad_shape=SIZE),
        )
        for _ in range(count)
    ]
    return dict(inputs=list(torch.randint(0, 256, (count, 3, *SIZE), dtype=torch.uint8)), data_samples=samples)


def optimiser(net: nn.Module, **options: Any) -> Any:
    return build_optim_wrapper(net, dict(optimizer=dict(type='SGD', lr=0.01, momentum=0.9), **options))


def step(net: nn.Module, data: dict[str, Any], optimiser: Any, dtype: torch.dtype) -> torch.Tensor:
    """A training step, as mmengine's ``train_step`` but for mixed precision without a scaler; its loss."""
    with torch.autocast('cuda', dtype, enabled=dtype != torch.float32):
        losses = net(**net.data_preprocessor(data, True), mode='loss')
    loss, _ = net.parse_losses(losses)
    optimiser.update_params(loss)
    return loss


def hyctas_s() -> dict[str, Any]:
    """Model config of a narrow HyCTAS-S."""
    network = published('hyctas-s', SIZE, base_channels=2, low_level=None, classes=5)
    return dict(network.model, data_preprocessor=supernet_cfg()['data_preprocessor'])


@pytest.mark.parametrize('dtype', [torch.float32, HALF], ids=['float32', 'bf16'])
def test_a_step_of_a_supernet(cuda: AnyCuda, dtype: torch.dtype) -> None:
    space = SearchSpace.from_dict(dict(layers=4, base_channels=2))
    model = supernet_cfg(dict(layers=4, base_channels=2))
    model['data_preprocessor']['type'] = 'LeanSegDataPreProcessor'
    net = MODELS.build(model)
    data, rng = batch(), np.random.default_rng(0)
    net = net.to('cuda').train()
    steps = optimiser(net, clip_grad=dict(max_norm=5.0))
    set_arch(net, space.sample(rng))
    cuda.waits.clear()
    cuda.uploads.clear()
    loss = step(net, data, steps, dtype)
    assert len(cuda.waits) == 1 and 'optimizer_wrapper.py' in cuda.waits[0], 'the norm of the gradients, for the logger'
    assert not cuda.uploads, 'two images and their labels are not waited for'
    assert loss.device.type == 'cuda' and loss.isfinite().item()
    momenta = [state['momentum_buffer'] for state in steps.optimizer.state.values()]
    assert len(momenta) > 50 and all(momentum.device.type == 'cuda' for momentum in momenta)


def test_a_step_in_bfloat16_by_an_option(cuda: AnyCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    found = []
    for capability in ((7, 5), (8, 0)):
        monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda *_, kind=capability: kind)
        net = MODELS.build(hyctas_s()).to('cuda').train()
        convolution = next(m for m in net.modules() if isinstance(m, nn.Conv2d))
        convolution.register_forward_hook(lambda *given: found.append(given[2].dtype))
        wrapper = optimiser(net, type='Bfloat16OptimWrapper')
        cuda.waits.clear()
        net.train_step(batch(), wrapper)
        assert not cuda.waits
    assert found == [torch.float32, torch.bfloat16]


@TYPES
def test_a_step_of_hyctas_s(cuda: AnyCuda, dtype: torch.dtype) -> None:
    net, data = MODELS.build(hyctas_s()).to('cuda').train(), batch()
    steps = optimiser(net)
    cuda.waits.clear()
    step(net, data, steps, dtype)
    assert not cuda.waits


def test_a_step_with_the_upsampling_inside_the_loss(cuda: AnyCuda) -> None:
    model, data = hyctas_s(), batch()
    model['decode_head']['loss_decode'] = dict(type='UpsampledCELoss')
    net = MODELS.build(model).to('cuda').train()
    steps = optimiser(net)
    cuda.waits.clear()
    assert step(net, data, steps, torch.float32).device.type == 'cuda'
    assert not cuda.waits


@pytest.mark.parametrize('config', ['fcn', 'dense-fusion'])
def test_a_step_of_a_head_of_mmseg_on_our_backbone(cuda: AnyCuda, config: str) -> None:
    net, data = MODELS.build(shrink(read(config)).model).to('cuda').train(), batch(19)
    net.data_preprocessor.size = SIZE
    if config == 'dense-fusion':
        GateSparsityHook().before_train(SimpleNamespace(model=net))
    steps = optimiser(net)
    cuda.waits.clear()
    step(net, data, steps, torch.float32)
    assert all('accuracy.py' in place for place in cuda.waits) and len(cuda.waits) <= 4, "mmseg's, for the logger"


@pytest.mark.slow
@TYPES
def test_hyctas_s_on_fake_tensors(fake_cuda: None, dtype: torch.dtype) -> None:
    net = training_network(hyctas_s())
    with torch.autocast('cuda', dtype, enabled=dtype != torch.float32):
        loss = training_loss(net, 2, SIZE)
    loss.backward()
    assert loss.device.type == 'cuda'
    assert {p.grad.device.type for p in net.parameters() if p.grad is not None} == {'cuda'}


def test_an_exported_graph_pads_no_attention(emulated: EmulatedCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    query, key, value = torch.rand(1, 4, 2), torch.rand(1, 4, 2), torch.rand(1, 4, 16)
    expected = small_attention(query, key, value)
    there = [x.to('cuda') for x in (query, key, value)]
    torch.testing.assert_close(attention._fused_attention(*there).cpu(), expected)
    monkeypatch.setattr(torch.compiler, 'is_exporting', lambda: True)
    with pytest.raises(RuntimeError, match=r'no fused kernel for \(1, 1, 4, 2\)'):
        attention._fused_attention(*there)
