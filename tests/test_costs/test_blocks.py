"""Prices from blocks are those of the built network, to the last digit.

HYCTAS_PRICES says for how many random architectures in all: 1000 take some minutes.
"""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmcv.cnn.utils import fuse_conv_bn
from torch import Tensor, nn

from hyctas_mm.archs import Architecture, SearchSpace, known_ops
from hyctas_mm.costs import Blocks, LatencyTable, count, count_macs, count_params
from hyctas_mm.costs.parts import collect_parts, run_blank
from hyctas_mm.engine import candidate_costs
from hyctas_mm.engine.candidate_costs import CandidateCosts, shipped_network
from hyctas_mm.models.decode_heads.hyctas_head import HyCTASHead
from hyctas_mm.models.layers import resize
from hyctas_mm.models.subnet import subnet_model_cfg
from hyctas_mm.registry import MODELS
from tests.conftest import DETAILED, WIDE, supernet_cfg

CPU = torch.device('cpu')
SHAPE = (1, 3, 32, 64)
SPACES: dict[str, tuple[dict[str, Any], tuple[int, int]]] = {
    'paper': (dict(layers=12), (64, 128)),
    'paper, longest, odd': (dict(layers=20, base_channels=6), (75, 101)),
    'wide': (WIDE, (32, 64)),
    'wide, odd': (
        WIDE | dict(base_channels=3, widths=[1, 5, 7, 12], stem_widths=[4, 8, 12], head_widths=[4, 8, 11]),
        (57, 91),
    ),
    'every op': (WIDE | dict(ops=known_ops(), base_channels=5), (41, 70)),
    'fixed, other norm': (WIDE, (48, 80)),
    'gates, odd': (WIDE | dict(nodes=True, gate_prob=0.5), (57, 91)),
    'detail, odd': (WIDE | DETAILED | dict(stem_widths=[6, 18], head_widths=[6, 20]), (57, 91)),
    'panoptic': (WIDE | DETAILED | dict(nodes=True), (64, 64)),
    'panoptic, odd': (WIDE | dict(base_channels=11), (53, 75)),
}
COUNT = int(os.environ.get('HYCTAS_PRICES', 80)) // len(SPACES)


def model_cfg_of(name: str, options: dict[str, Any]) -> dict[str, Any]:
    if name.startswith('panoptic'):
        return dict(
            type='PanopticDeepLab',
            data_preprocessor=dict(type='mmdet.DetDataPreprocessor'),
            backbone=dict(type='HyCTASBackbone', search_space=options, outputs='branches'),
            panoptic_head=dict(
                type='HyCTASPanopticHead', search_space=options, num_things_classes=2, num_stuff_classes=3
            ),
        )
    cfg = supernet_cfg(options)
    if name.startswith('fixed'):  # as in the folder of an exported network
        cfg = subnet_model_cfg(cfg, SearchSpace.from_dict(options).sample(np.random.default_rng(9))).to_dict()
        for part in ('backbone', 'decode_head'):
            cfg[part]['norm_cfg'] = dict(type='GN', num_groups=1)
    return cfg


@pytest.mark.slow
@pytest.mark.parametrize('name', SPACES)
def test_prices_are_those_of_the_built_network(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options, hw = SPACES[name]
    cfg, space, shape, rng = (
        model_cfg_of(name, options),
        SearchSpace.from_dict(options),
        (1, 3, *hw),
        np.random.default_rng(1),
    )
    table = LatencyTable(tmp_path / 'table.json', CPU, shape)
    table.overhead_ms = 0.0123
    monkeypatch.setattr(LatencyTable, 'save', lambda self: None)
    monkeypatch.setattr(
        LatencyTable, '_measure', lambda self, model, parts, new: {part.key: rng.uniform(0.01, 3) for part in parts}
    )
    archs, expected = [space.sample(np.random.default_rng([2, i])) for i in range(COUNT)], []
    for arch in archs:
        network = shipped_network(cfg, arch)
        costs = dict(params_m=count_params(network) / 1e6, macs_g=count_macs(network, shape).total_g)
        expected.append(costs | dict(latency_ms=table.predict(fuse_conv_bn(network))))
    built = builds(monkeypatch)
    prices = CandidateCosts(cfg, shape, table)
    assert [prices(arch) for arch in archs] == expected
    assert built == archs[:1]


def builds(monkeypatch: pytest.MonkeyPatch) -> list[Architecture]:
    """The architectures that are built from now on."""
    built: list[Architecture] = []
    monkeypatch.setattr(
        candidate_costs, 'shipped_network', lambda *args: built.append(args[1]) or shipped_network(*args)
    )
    return built


@pytest.mark.slow
def test_a_network_with_a_part_that_was_not_measured_is_built(
    tmp_path: Path, wide_space: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[int] = []
    monkeypatch.setattr(
        LatencyTable,
        '_measure',
        lambda self, model, parts, new: measured.append(new) or {part.key: 1.0 for part in parts},
    )
    built, table = builds(monkeypatch), LatencyTable(tmp_path / 'table.json', CPU, SHAPE)
    prices, again = CandidateCosts(supernet_cfg(), SHAPE, table), CandidateCosts(supernet_cfg(), SHAPE, table)
    archs = [wide_space.sample(np.random.default_rng(i)) for i in range(6)]
    first = [prices(arch) for arch in archs]
    assert len(built) == len(measured) > 1 and sum(measured) == len(table.parts)
    assert [again(arch) for arch in archs] == first and built[len(measured) :] == archs[:1]


def test_registered_costs_are_asked_of_the_built_network(
    wide_space: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    monkeypatch.setitem(
        candidate_costs._own_costs, 'norms', lambda network, shape: seen.append(count_norms(network)) or seen[-1]
    )
    prices, plain = CandidateCosts(supernet_cfg(), SHAPE), CandidateCosts(supernet_cfg(), SHAPE)
    archs = [wide_space.sample(np.random.default_rng(i)) for i in range(3)]
    own = [prices(arch) for arch in archs]
    assert [costs.pop('norms') for costs in own] == seen and len(set(seen)) > 1
    monkeypatch.delitem(candidate_costs._own_costs, 'norms')
    assert own == [plain(arch) for arch in archs]


def count_norms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


# Heads of others ------------------------------------------------------------------------------------------------------


class SharpHead(HyCTASHead):
    """One more convolution, which depends on the architecture; nothing tells that it does."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sharpen = nn.Conv2d(
            self.num_classes, self.num_classes, self.size(self.arch), padding=self.size(self.arch) // 2
        )

    @staticmethod
    def size(arch: Architecture) -> int:
        return 3 if arch.head_width == 12 else 1

    def forward(self, inputs: Any) -> Tensor:
        return self.sharpen(super().forward(inputs))


class TellingHead(SharpHead):
    """Tells."""

    def compose(self, arch: Architecture, features: Any, block: Any) -> Any:
        logits = HyCTASHead.compose(self, arch, features, block)
        return block(nn.Conv2d, self.num_classes, self.num_classes, self.size(arch), padding=self.size(arch) // 2)(
            logits
        )


class WrongHead(SharpHead):
    """Tells what is not so."""

    compose = HyCTASHead.compose


@pytest.mark.slow
@pytest.mark.parametrize(
    ('head', 'said'),
    [
        (SharpHead, 'SharpHead does not say by compose what its blocks are'),
        (TellingHead, ''),
        (WrongHead, r'compose of HyCTASBackbone, WrongHead gives \d+ parameters, .* the network itself has \d+ p'),
    ],
)
def test_heads_of_others_are_priced_right_and_fast_if_they_tell_their_blocks(
    head: type[HyCTASHead], said: str, wide_space: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MODELS.module_dict, head.__name__, head)
    logged: list[str] = []
    monkeypatch.setattr(candidate_costs, 'print_log', lambda text, *_: logged.append(text))
    cfg = supernet_cfg()
    cfg['decode_head']['type'] = head.__name__
    archs = [wide_space.sample(np.random.default_rng(i)) for i in range(4)]
    assert {arch.head_width for arch in archs} == {6, 12}
    expected = [count(shipped_network(cfg, arch), [SHAPE], None) for arch in archs]
    built, prices = builds(monkeypatch), CandidateCosts(cfg, SHAPE)
    found = [prices(arch) for arch in archs]
    assert found == [dict(params_m=c.params / 1e6, macs_g=c.macs.total_g) for c in expected]
    assert built == (archs if said else archs[:1])
    assert len(logged) == bool(said) and all(re.search(said, text) for text in logged)


# Blocks ---------------------------------------------------------------------------------------------------------------


class Chain(nn.Module):
    """Convolutions with pooling, which has no parameters, between them."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        layers = [
            layer for pair in itertools.pairwise((3, *widths)) for layer in (nn.MaxPool2d(2), nn.Conv2d(*pair, 1))
        ]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)

    def compose(self, arch: tuple[int, ...], x: Any, block: Any) -> Any:
        for width in arch:
            x = block(nn.MaxPool2d, 2)(x)
            x = block(nn.Conv2d, x[1], width, 1)(x)
        return x


def chain(widths: tuple[int, ...]) -> nn.Module:
    with torch.device('meta'):
        return nn.Sequential(Chain(widths))


def test_a_block_is_made_once_for_each_shape() -> None:
    shape, shipped = (1, 3, 16, 16), []
    blocks = Blocks(chain((4, 4)), (4, 4), shape, lambda module: shipped.append(type(module).__name__) or module)
    assert blocks.problem == '' and shipped == ['Sequential', 'MaxPool2d', 'Conv2d', 'MaxPool2d', 'Conv2d']
    longer = blocks.count((4, 4, 4))
    assert longer == count(chain((4, 4, 4)), [shape], lambda module: module) and len(longer.parts) == 6
    assert shipped[5:] == ['MaxPool2d', 'Conv2d']  # the third of each, on a smaller map
    assert blocks.count((4, 4, 4)) == longer and len(shipped) == 7


def test_resizing_for_shapes_alone_gives_the_shapes_of_resizing() -> None:
    class Resizes(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return resize(nn.functional.interpolate(x, scale_factor=2), (9, 5))

    assert run_blank(Resizes(), [(2, 3, 4, 4)]).shape == Resizes()(torch.rand(2, 3, 4, 4)).shape == (2, 3, 9, 5)
    (part,) = collect_parts(nn.Upsample((5, 7), mode='bilinear'), (1, 3, 4, 4))
    assert part.shapes == ((1, 3, 4, 4),)
