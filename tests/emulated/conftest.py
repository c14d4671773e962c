"""CUDA without a GPU, in two ways: fake tensors, which have no values, and tensors that compute on the CPU.

Where there is a GPU, tests of the second kind run on it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from hyctas_mm.costs.memory import FusedAttention
from tests.emulated.backward import run_backward
from tests.emulated.cuda import EmulatedCuda, emulated_cuda
from tests.emulated.guard import load_guard
from tests.emulated.real import AnyCuda, real_cuda


@pytest.fixture
def pretended_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """What PyTorch asks CUDA's driver for is answered."""
    if torch.cuda.is_available():
        pytest.skip('there is a GPU: nothing is to be emulated')
    load_guard()
    monkeypatch.setattr(torch.cuda, '_lazy_init', lambda: None)
    monkeypatch.setattr(torch.autograd, '_engine_run_backward', run_backward)
    monkeypatch.setattr(torch.cuda, 'mem_get_info', lambda device=None: (10**12, 10**12))
    monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda *_, **__: True)
    monkeypatch.setattr(torch.cuda.amp.common, 'amp_definitely_not_available', lambda: False)


@pytest.fixture
def emulated(pretended_cuda: None) -> Iterator[EmulatedCuda]:
    """Tensors of ``'cuda'`` compute on the CPU; what would wait for a GPU is noted."""
    with emulated_cuda() as mode:
        yield mode


@pytest.fixture
def cuda(request: pytest.FixtureRequest) -> Iterator[AnyCuda]:
    """The GPU where there is one, otherwise an emulated one; what waits for it is noted."""
    if not torch.cuda.is_available():
        yield request.getfixturevalue('emulated')
        return
    with real_cuda() as mode:
        yield mode


@pytest.fixture
def fake_cuda(pretended_cuda: None) -> Iterator[None]:
    """Tensors of ``'cuda'`` have shapes and no values; what depends on values has a size that is not known."""
    shapes = ShapeEnv(allow_scalar_outputs=True, allow_dynamic_output_shape_ops=True)
    with FakeTensorMode(shape_env=shapes), FusedAttention('cuda'), torch.device('cuda'):
        yield
