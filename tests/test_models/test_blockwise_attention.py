"""Attention by blocks of queries equals its definition, forward and backward, in any layout, and takes little
memory.
"""

from __future__ import annotations

from unittest.mock import Mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hyctas_mm.costs import PeakMemory, in_fresh_process
from hyctas_mm.models.ops import attention as layers
from hyctas_mm.models.ops import blockwise_attention as module
from hyctas_mm.models.ops.attention import SelfAttention
from hyctas_mm.models.ops.blockwise_attention import blockwise_attention, is_faster_by_blocks


def by_definition(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return torch.softmax(query @ key.transpose(1, 2), -1) @ value


def inputs(batch: int, positions: int, width: int, channels: int, channels_last: bool) -> list[Tensor]:
    generator = torch.Generator().manual_seed(positions)
    made = []
    for count in (width, width, channels):
        x = torch.randn(batch, count, positions, dtype=torch.double, generator=generator)
        made.append(x.transpose(1, 2).contiguous() if channels_last else x.transpose(1, 2))
    return [x.requires_grad_() for x in made]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(1, 70), st.integers(1, 4), st.integers(1, 9), st.booleans(), st.integers(1, 6000))
def test_equals_its_definition(
    batch: int, positions: int, width: int, channels: int, channels_last: bool, block: int
) -> None:
    tensors = inputs(batch, positions, width, channels, channels_last)
    before, module.BLOCK = module.BLOCK, block
    try:
        out = blockwise_attention(*tensors)
        grad = torch.randn(out.shape, dtype=torch.double, generator=torch.Generator().manual_seed(1))
        found = torch.autograd.grad(out, tensors, grad)
    finally:
        module.BLOCK = before
    expected = by_definition(*tensors)
    assert torch.allclose(out, expected, atol=1e-12) and out.stride() == tensors[2].stride()
    for a, b in zip(found, torch.autograd.grad(expected, tensors, grad), strict=True):
        assert torch.allclose(a, b, atol=1e-11)


def test_gradients_by_finite_differences() -> None:
    assert torch.autograd.gradcheck(blockwise_attention, inputs(2, 5, 2, 3, False))


@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
def test_all_ways_of_a_layer_agree(memory_format: torch.memory_format, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layer = SelfAttention(16).double()
    torch.nn.init.constant_(layer.gamma, 0.7)
    x = torch.randn(2, 16, 9, 11, dtype=torch.double).to(memory_format=memory_format)
    assert layer(x).is_contiguous(memory_format=memory_format) and is_faster_by_blocks(99, 16)
    found = {}
    for way in ('small_attention', 'blockwise_attention', '_fused_attention'):
        monkeypatch.setattr(layers, 'SMALL', 99 if way == 'small_attention' else 98)
        monkeypatch.setattr(
            layers, 'is_faster_by_blocks', lambda positions, channels, way=way: way == 'blockwise_attention'
        )
        called = Mock(side_effect=getattr(layers, way))
        monkeypatch.setattr(layers, way, called)
        found[way] = layer(x)
        called.assert_called_once()
    assert all(torch.allclose(found['_fused_attention'], out, atol=1e-12) for out in found.values())


def peak(backward: bool) -> int | None:
    torch.set_num_threads(1)
    tensors = [torch.randn(1, 6000, count).requires_grad_(backward) for count in (8, 8, 64)]
    with PeakMemory(torch.device('cpu')) as found:
        out = blockwise_attention(*tensors)
        if backward:
            out.sum().backward()
    return found.bytes


@pytest.mark.slow
@pytest.mark.parametrize('backward', [False, True])
def test_memory_is_far_below_that_of_the_matrix(backward: bool) -> None:
    matrix = 6000**2 * 4
    found = in_fresh_process(peak, backward)
    assert found is None or found < matrix / 3
