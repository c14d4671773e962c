from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from torch import Tensor, nn

from hyctas_mm.costs.parts import collect_parts
from hyctas_mm.models import DenseFusionNeck

CHANNELS, STRIDES, OUT = (4, 6, 8, 10), (4, 8, 16, 32), 5
SIZES = ((33, 49), (17, 25), (9, 13), (5, 7))


def neck(**options: Any) -> DenseFusionNeck:
    """A neck on four levels, its batch norms with statistics of their own."""
    torch.manual_seed(0)
    made = DenseFusionNeck(CHANNELS, STRIDES, OUT, **options)
    for norm in made.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for values, low in (
                (norm.weight, 0.5),
                (norm.bias, -0.5),
                (norm.running_mean, -0.5),
                (norm.running_var, 0.5),
            ):
                nn.init.uniform_(values, low, 1.5)
    return made.eval()


def pyramid(sizes: tuple[tuple[int, int], ...] = SIZES, channels: tuple[int, ...] = CHANNELS) -> list[Tensor]:
    return [torch.randn(2, c, *size) for c, size in zip(channels, sizes)]


@pytest.mark.parametrize(
    'sizes',
    [
        SIZES,  # odd sizes rounded up
        ((33, 49), (16, 24), (8, 12), (4, 6)),  # rounded down: what goes down gives one position more
        ((4, 4), (2, 2), (1, 1), (1, 1)),
    ],
)
def test_each_output_has_the_size_of_its_level(sizes: tuple[tuple[int, int], ...]) -> None:
    assert [y.shape for y in neck()(pyramid(sizes))] == [(2, OUT, *size) for size in sizes]
    (only,) = neck(out_levels=[1])(pyramid(sizes))
    assert only.shape == (2, OUT, *sizes[1])


def test_levels_of_equal_stride_are_neither_resized_nor_strided() -> None:
    dilated = DenseFusionNeck([4, 6], [8, 8], OUT)
    assert all(path.down is None for path in dilated.paths.values())
    assert [y.shape[2:] for y in dilated(pyramid(((9, 9), (9, 9)), (4, 6)))] == [(9, 9), (9, 9)]


def test_an_output_is_the_gated_sum_of_its_connections() -> None:
    fusion, maps = neck(), pyramid()
    nn.init.normal_(fusion.gate_logits)
    gates = dict(zip(fusion.connections, fusion.gates()))
    for level, found in enumerate(fusion(maps)):
        terms = [gates[i, level] * fusion.paths[f'{i}_{level}'](maps[i], maps[level]) for i in range(4)]
        torch.testing.assert_close(found, torch.stack(terms).sum(0).relu())


def test_gradients_reach_every_gate_and_every_parameter() -> None:
    fusion = neck().train()
    sum((y * torch.randn_like(y)).sum() for y in fusion(pyramid())).backward()
    assert fusion.gate_logits.grad.shape == (16,) and fusion.gate_logits.grad.all()
    assert not [name for name, p in fusion.named_parameters() if p.grad is None or not p.grad.any()]


# Sparsity -------------------------------------------------------------------------------------------------------------


def test_the_loss_is_the_formula() -> None:
    fusion = neck(out_levels=[0, 2], connections=[(0, 0), (1, 0), (2, 0), (1, 2)])
    probabilities = [[0.9, 0.2, 0.4], [0.7]]
    fusion.gate_logits.data = torch.tensor([math.log(p / (1 - p)) for ps in probabilities for p in ps])
    for density in (None, 0.3):
        expected = 0.0
        for ps in probabilities:
            rho, mean = density or min(2 / len(ps), 0.5), sum(ps) / len(ps)
            expected -= sum(p * math.log(p) + (1 - p) * math.log(1 - p) for p in ps) / len(ps)
            expected -= rho * math.log(mean) + (1 - rho) * math.log(1 - mean)
        assert float(fusion.sparsity_loss(density)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize('density', [0.25, 0.75])
def test_it_leaves_open_and_shut_gates_near_the_density(density: float) -> None:
    """Gates that are on their way to a side do not turn, so the density is not met to the gate."""
    fusion = neck()
    nn.init.normal_(fusion.gate_logits, std=0.5)
    optimizer = torch.optim.SGD([fusion.gate_logits], lr=4.0, momentum=0.9)
    for _ in range(120):
        optimizer.zero_grad()
        fusion.sparsity_loss(density).backward()
        optimizer.step()
    gates = fusion.gates()
    assert ((gates < 0.05) | (gates > 0.95)).all() and float(gates.mean()) == pytest.approx(density, abs=0.1)


def test_shut_and_open_gates_have_a_finite_loss() -> None:
    fusion = neck()
    for value in (-200.0, 200.0):
        nn.init.constant_(fusion.gate_logits, value)
        fusion.sparsity_loss().backward()
        assert fusion.sparsity_loss().isfinite() and fusion.gate_logits.grad.isfinite().all()


# Pruning --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('training', [False, True])
def test_a_pruned_neck_computes_what_the_gated_one_did_without_the_removed(training: bool) -> None:
    fusion, maps = neck().train(training), pyramid()
    nn.init.normal_(fusion.gate_logits, std=2.0)
    gates = dict(zip(fusion.connections, fusion.gates().tolist()))
    expected_kept = tuple(c for c, gate in gates.items() if gate >= 0.4)
    with torch.no_grad():
        removed = torch.tensor([c not in expected_kept for c in fusion.connections])
        fusion.gate_logits[removed] -= 200  # their gates are 0
        expected = fusion(maps)
        assert fusion.prune(0.4) == expected_kept and 4 < len(expected_kept) < 14
        for found, y in zip(fusion(maps), expected):
            torch.testing.assert_close(found, y, rtol=1e-6, atol=1e-6)
    assert set(fusion.paths) == {f'{i}_{j}' for i, j in expected_kept} and fusion.gate_logits is None


def test_the_widest_gate_into_an_output_stays() -> None:
    fusion = neck()
    fusion.gate_logits.data = torch.linspace(-8, -5, 16)
    assert fusion.prune(0.5) == ((3, 0), (3, 1), (3, 2), (3, 3))
    with pytest.raises(ValueError, match='was it pruned already'):
        fusion.prune()


def test_a_pruned_neck_is_expressible_in_a_config() -> None:
    fusion, maps = neck(out_levels=[0, 2]), pyramid()
    nn.init.normal_(fusion.gate_logits, std=2.0)
    kept = fusion.prune(0.5)
    options = dict(in_channels=list(CHANNELS), strides=list(STRIDES), out_channels=OUT, out_levels=[0, 2])
    written = Config(dict(neck=dict(options, type='DenseFusionNeck', connections=list(kept), gated=False))).pretty_text
    again = MODELS.build(Config.fromstring(written, '.py').neck).eval()
    again.load_state_dict(fusion.state_dict())
    assert again.connections == kept
    for found, expected in zip(again(maps), fusion(maps)):
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_pruning_saves_what_it_removes() -> None:
    """Connections are parts that are priced, those to different levels as different ones."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.neck = neck()

        def forward(self, *maps: Tensor) -> Any:
            return self.neck(maps)

    net, shapes = Net(), [(1, c, *size) for c, size in zip(CHANNELS, SIZES)]
    before = collect_parts(net, *shapes)
    assert len(before) == 16 == len({part.key for part in before})
    net.neck.prune(1.0)
    assert len(collect_parts(net, *shapes)) == 4


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(strides=[4, 8, 16]), 'one stride for each level'),
        (dict(strides=[4, 8, 16, 24]), 'powers of two apart'),
        (dict(connections=[(0, 7)]), r'connections \[\(0, 7\)\]'),
        (dict(connections=[(0, 0), (0, 0)], out_levels=[0]), 'each once'),
        (dict(connections=[(0, 0)]), r'connections to the levels \[0\]'),
        (dict(connections=[(0, 0), (0, 1)], out_levels=[0]), r'out_levels=\[0\]'),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DenseFusionNeck(**dict(in_channels=CHANNELS, strides=STRIDES, out_channels=OUT) | options)


def test_a_pyramid_of_other_levels_is_refused() -> None:
    with pytest.raises(ValueError, match="got 3 maps, expected 4; .* set the backbone's out_indices"):
        neck()(pyramid()[:3])


def test_pruning_refuses_what_it_cannot_do() -> None:
    with pytest.raises(ValueError, match=r'threshold=1\.5'):
        neck().prune(1.5)
    with pytest.raises(ValueError, match='BatchNorm2d has no scale and shift'):
        DenseFusionNeck(CHANNELS, STRIDES, OUT, norm_cfg=dict(type='BN', affine=False)).prune()
    with pytest.raises(ValueError, match='no sparsity loss'):
        neck(gated=False).sparsity_loss()
