from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from hyctas_mm.archs import SearchSpace
from hyctas_mm.costs import PeakMemory, count_macs, peak_memory, predict_training_memory, remembered_results
from hyctas_mm.costs.memory import FusedAttention
from hyctas_mm.engine.candidate_costs import CandidateCosts, training_loss, training_network
from hyctas_mm.models.ops import SelfAttention
from hyctas_mm.models.subnet import subnet_model_cfg
from tests.conftest import supernet_cfg

CPU = torch.device('cpu')
MB = 1_000_000


def mean_of(model: nn.Module, shape: tuple[int, ...]) -> Tensor:
    return model(torch.zeros(shape)).mean()


def two_convs() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 8, 3, padding=1))


def test_every_byte_of_a_small_network() -> None:
    net, n = two_convs(), 2 * 32 * 64
    found = predict_training_memory(net, partial(mean_of, shape=(2, 3, 32, 64)), 'cpu')
    params = sum(p.numel() for p in net.parameters()) * 4
    assert (found.weights, found.optimizer) == (params, params)
    # alive when the second convolution goes back: batch, two maps of 32 channels, the output's gradient expanded, the
    # map's and weight gradients
    second = sum(p.numel() for p in net[2].parameters()) * 4
    assert found.step == pytest.approx((3 + 32 + 32 + 8 + 32) * n * 4 + second, rel=0.08)
    assert found.total_gb == (found.weights + found.optimizer + found.step) / 1e9
    assert predict_training_memory(net, partial(mean_of, shape=(2, 3, 32, 64)), 'cpu') == found
    assert predict_training_memory(net, partial(mean_of, shape=(2, 3, 32, 64)), 'cpu', states=2).optimizer == 2 * params


def test_a_map_saved_by_two_layers_counts_once() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convs = nn.ModuleList(nn.Conv2d(64, 1, 1) for _ in range(2))

        def forward(self, x: Tensor) -> Tensor:
            return self.convs[0](x) + self.convs[1](x)

    found = predict_training_memory(Twice(), partial(mean_of, shape=(1, 64, 100, 100)), 'cpu')
    assert 64 * 40_000 < found.step < 1.2 * 64 * 40_000


@pytest.mark.parametrize('device_type', ['cpu', 'cuda'])
def test_attention_keeps_no_matrix(device_type: str) -> None:
    n, channels = 64 * 64, 32
    found = predict_training_memory(SelfAttention(channels), partial(mean_of, shape=(1, channels, 64, 64)), device_type)
    assert found.step < 20 * n * channels * 4 < n * n * 4


def test_fused_attention_saves_what_the_cpu_kernel_saves() -> None:
    """Shapes of the saved tensors against those that PyTorch's own kernel saves on the CPU."""

    def saved(device: str) -> list[tuple[int, ...]]:
        shapes: list[tuple[int, ...]] = []
        q, k, v = (torch.zeros(2, 1, 50, 16, device=device, requires_grad=True) for _ in range(3))
        with torch.autograd.graph.saved_tensors_hooks(lambda t: shapes.append(tuple(t.shape)) or t, lambda t: t):
            F.scaled_dot_product_attention(q, k, v, scale=1.0)
        return sorted(shapes)

    with FusedAttention('cpu'):
        ours = saved('meta')
    assert ours == saved('cpu') == sorted([(2, 1, 50, 16)] * 4 + [(2, 1, 50)])


@pytest.mark.parametrize(('device_type', 'widths'), [('cpu', [3, 3, 20, 20]), ('cuda', [8, 8, 24, 24])])
def test_attention_of_narrow_keys_is_widened_as_cuda_kernels_ask(device_type: str, widths: list[int]) -> None:
    q, k, v = (torch.zeros(1, 1, 10, width, device='meta', requires_grad=True) for width in (3, 3, 20))
    shapes: list[int] = []
    with (
        FusedAttention(device_type),
        torch.autograd.graph.saved_tensors_hooks(lambda t: shapes.append(t.shape[-1]) or t, lambda t: t),
    ):
        out = F.scaled_dot_product_attention(q, k, v)
    out.sum().backward()
    assert out.shape == v.shape and shapes[:4] == widths
    assert q.grad.shape == q.shape and k.grad.shape == k.shape and v.grad.shape == v.shape


# As a cost of candidates ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_candidates_have_it_where_it_is_asked_for(wide_space: SearchSpace) -> None:
    arch = wide_space.sample(np.random.default_rng(0), 3)
    without = CandidateCosts(supernet_cfg(), (1, 3, 32, 64))(arch)
    small, large = (
        CandidateCosts(supernet_cfg(), (1, 3, 32, 64), memory_input=(batch, (64, 128)))(arch) for batch in (2, 8)
    )
    assert set(without) == {'params_m', 'macs_g'} and set(small) == {*without, 'memory_gb'}
    assert 0 < small['memory_gb'] < large['memory_gb'] < 4 * small['memory_gb']


def test_auxiliary_heads_are_trained_too(wide_space: SearchSpace) -> None:
    arch = wide_space.sample(np.random.default_rng(0), 3)
    found = []
    for weight in (0.0, 0.2):
        cfg = supernet_cfg()
        cfg['decode_head']['aux_weight'] = weight
        with torch.device('meta'):
            net = training_network(subnet_model_cfg(cfg, arch))
        found.append(predict_training_memory(net, partial(training_loss, batch=2, crop_hw=(64, 128))).step)
    assert found[0] < found[1]


def predicted(model_cfg: dict, scope: str | None = None) -> float:
    with torch.device('meta'):
        net = training_network(model_cfg, scope)
    return predict_training_memory(net, partial(training_loss, batch=2, crop_hw=(64, 64))).step


def test_a_loss_that_counts_the_pixels_it_averages_over(wide_space: SearchSpace) -> None:
    """As those of COCO do, by asking for a number, which the meta device does not have."""
    arch = wide_space.sample(np.random.default_rng(0), 1)
    found = []
    for options in ({}, dict(avg_non_ignore=True)):
        cfg = supernet_cfg()
        cfg['decode_head']['loss_decode'] |= options
        found.append(predicted(subnet_model_cfg(cfg, arch)))
    assert found[0] == pytest.approx(found[1], rel=0.02)


def test_results_that_are_remembered_change_nothing(wide_space: SearchSpace, monkeypatch: pytest.MonkeyPatch) -> None:
    cfgs = [subnet_model_cfg(supernet_cfg(), wide_space.sample(np.random.default_rng(seed), 2)) for seed in (0, 1)]

    def found(cfg: dict) -> tuple:
        with torch.device('meta'):
            net = training_network(cfg)
        return predicted(cfg), count_macs(net.backbone.eval(), (1, 3, 64, 64))

    monkeypatch.setattr(remembered_results, '_made', {})
    remembered = [found(cfg) for cfg in (*cfgs, *cfgs)]
    assert len(remembered_results._made) > 100 and None in remembered_results._made.values()
    monkeypatch.setattr(remembered_results, '_made', {})
    monkeypatch.setattr(remembered_results, 'MADE_AT_MOST', 0)
    assert [found(cfg) for cfg in cfgs] * 2 == remembered and not remembered_results._made


@pytest.mark.slow
def test_the_panoptic_config_of_coco() -> None:
    pytest.importorskip('mmcv._ext', reason='mmdet needs mmcv with compiled operators')
    folder = Path(__file__).parents[2] / 'configs' / 'panoptic' / 'coco'
    cfg = Config.fromfile(next(folder.glob('hyctas-l_8xb8-200k_coco-*.py')))
    init_default_scope('mmdet')
    cfg.model.backbone.base_channels = cfg.model.panoptic_head.base_channels = 2
    assert predicted(cfg.model) > 1e6


def test_networks_without_labels_are_refused() -> None:
    with pytest.raises(ValueError, match='ResNet: expected a semantic segmentor or a panoptic network'):
        training_network(dict(type='ResNet', depth=18), 'mmseg')


# Measuring ------------------------------------------------------------------------------------------------------------


def allocate(megabytes: int) -> int | None:
    with PeakMemory(CPU) as peak:
        torch.ones(megabytes * MB // 4)
    return peak.bytes


def test_peak_memory_of_this_process() -> None:
    if not peak_memory.CLEAR_REFS.exists():
        pytest.skip('only Linux tells a process its peak memory')
    assert 60 * MB < (allocate(64) or 0) < 90 * MB
    assert (allocate(1) or 0) < 30 * MB


def test_a_system_that_does_not_tell(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(peak_memory, 'CLEAR_REFS', tmp_path / 'no' / 'such')
    assert allocate(1) is None
