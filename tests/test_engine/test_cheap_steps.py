"""Training channels-last and in bfloat16 computes what plain training does."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmseg.registry import MODELS
from torch import nn

from hyctas_mm.archs import SearchSpace
from hyctas_mm.engine import bfloat16_optim_wrapper
from hyctas_mm.engine.bfloat16_optim_wrapper import computes_bfloat16
from hyctas_mm.engine.candidate_costs import training_loss
from hyctas_mm.engine.hooks import ChannelsLastHook

SPACE = SearchSpace(layers=4, base_channels=4)
PARTS = {'fixed': dict(arch='hyctas-s', base_channels=2), 'supernet': dict(search_space=SPACE)}


class OnlyModel:
    """What the hook knows of a Runner."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model


def segmentor(kind: str) -> nn.Module:
    torch.manual_seed(0)
    part = PARTS[kind]
    return MODELS.build(
        dict(
            type='EncoderDecoder',
            backbone=dict(type='HyCTASBackbone', outputs='branches', **part),
            decode_head=dict(type='HyCTASHead', num_classes=3, loss_decode=dict(type='UpsampledCELoss'), **part),
        )
    ).train()


def loss_of(model: nn.Module) -> torch.Tensor:
    torch.manual_seed(1)
    return training_loss(model, 2, (64, 96))


@pytest.mark.parametrize('kind', PARTS)
def test_channels_last_changes_rounding_only(kind: str) -> None:
    plain = segmentor(kind).double()
    lean = copy.deepcopy(plain)
    ChannelsLastHook().before_train(OnlyModel(lean))
    lay = {p.is_contiguous(memory_format=torch.channels_last) for p in lean.parameters() if p.dim() == 4}
    assert lay == {True} and plain.state_dict().keys() == lean.state_dict().keys()
    x = torch.randn(2, 3, 64, 96, dtype=torch.double)
    maps = [model.decode_head.forward(model.extract_feat(x)) for model in (plain, lean)]
    torch.testing.assert_close(*maps, rtol=1e-7, atol=1e-9)
    for found in maps:
        found.square().mean().backward()
    for one, other in zip(plain.parameters(), lean.parameters(), strict=True):
        if one.grad is not None:
            torch.testing.assert_close(one.grad, other.grad, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize('native', [False, True])
def test_bfloat16_where_the_processor_has_it(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bfloat16_optim_wrapper, 'computes_bfloat16', lambda: native)
    model = segmentor('fixed')
    wrapper = build_optim_wrapper(model, dict(type='Bfloat16OptimWrapper', optimizer=dict(type='SGD', lr=0.02)))
    seen = []
    model.backbone.register_forward_hook(lambda *given: seen.append(given[2].branches[0][0].dtype))
    expected = loss_of(copy.deepcopy(model))
    with wrapper.optim_context(model):
        loss = loss_of(model)
    assert seen[-1] == (torch.bfloat16 if native else torch.float32) and loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected.item(), rel=0.02 if native else 0)
    loss.backward()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert grads and {x.dtype for x in [*grads, *model.parameters()]} == {torch.float32}


@pytest.mark.parametrize(
    ('flags', 'native'),
    [('fpu avx512_bf16 sse', True), ('amx_bf16', True), ('avx512_bf16x avx2', False), (None, False)],
)
def test_the_processor_is_asked(flags: str | None, native: bool, tmp_path: Path) -> None:
    if flags is not None:
        (tmp_path / 'cpuinfo').write_text(f'processor\t: 0\nflags\t\t: {flags}\n')
    assert computes_bfloat16(tmp_path / 'cpuinfo') is native
