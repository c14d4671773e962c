"""Configurations of the release that no golden file covers, through the converter, against the release written down
once more.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor

from hyctas_mm.archs import Architecture, SearchSpace
from hyctas_mm.release.checkpoint import convert_state, model_cfg
from hyctas_mm.release.genotypes import RELEASE_OPS, ReleaseGenotype, read_release
from hyctas_mm.release.network import ReleaseNetwork, infer_network
from hyctas_mm.release.weights import aliases, release_name
from tests.goldens import LOW_LEVELS, golden_file
from tests.release_genotypes import write_release
from tests.release_oracle import Oracle

pytest.importorskip('mmcv._ext', reason='mmdet needs mmcv with compiled operators')

WIDTHS = (4, 6, 8, 10, 12)
SPACE = SearchSpace(
    layers=6, ops=[*RELEASE_OPS[1:], 'skip'], stem_widths=WIDTHS, head_widths=WIDTHS, low_levels=LOW_LEVELS
)
THINGS_FIRST = [*range(11, 19), *range(11)]


def random_network(seed: int) -> tuple[ReleaseNetwork, bool]:
    """A network with everything drawn, and whether it aligns corners."""
    rng = np.random.default_rng(100 + seed)  # with these seeds everything occurs, see below
    arch = SPACE.sample(rng, 1 + seed % 3)
    if seed % 4 == 0:  # what the release calls skip stands at equal stride
        cells = [
            [replace(c, op='conv_1x1') if not c.down and rng.random() < 0.4 else c for c in b]
            for b in arch.branches[:1]
        ]
        arch = replace(arch, branches=(tuple(cells[0]), *arch.branches[1:])) if len(arch.branches) == 1 else arch
    order = tuple(rng.permutation(len(arch.branches)).tolist())
    auxiliary = bool(seed // 2 % 2) and arch.output_strides != (8,)
    return ReleaseNetwork(ReleaseGenotype(arch, order), 2 + seed % 4, 19, bool(seed % 2), auxiliary), bool(
        seed // 3 % 2
    )


def random_state(network: ReleaseNetwork) -> dict[str, Tensor]:
    """A checkpoint of the release with random tensors, of shapes that do not depend on the order of branches."""
    with torch.device('meta'):
        shapes = {key: tensor.shape for key, tensor in MODELS.build(model_cfg(network)).state_dict().items()}
    state: dict[str, Tensor] = {}
    for key, shape in shapes.items():
        if key.endswith('num_batches_tracked'):
            tensor = torch.zeros((), dtype=torch.long)
        elif len(shape) == 4:
            tensor = torch.randn(shape) * (2 / shape[1:].numel()) ** 0.5
        elif key.endswith(('weight', 'var', 'gamma')):
            tensor = torch.rand(shape) * 0.5 + 0.5
        else:
            tensor = torch.randn(shape) * 0.1
        state[release_name(key, network.genotype)] = tensor
    for alias, original in aliases(network.genotype).items():
        state |= {alias + name[len(original) :]: tensor for name, tensor in state.items() if name.startswith(original)}
    return state


@pytest.mark.slow
@pytest.mark.parametrize('seed', range(24))
def test_any_network_of_the_release(seed: int) -> None:
    check(*random_network(seed), seed)


@pytest.mark.parametrize('name', ['S', 'M', 'L'])
def test_the_published_networks(name: str) -> None:
    """The architectures as published, at a small width; of L there are no tensors of the release."""
    published = json.loads(golden_file(f'shapes_{name}.json').read_text())['genotype']
    check(ReleaseNetwork(read_release(published, low_level='s4'), 2, 19, True, True), False, 0)


def check(network: ReleaseNetwork, corners: bool, seed: int) -> None:
    """Every map of the network in training and evaluation against the oracle's."""
    torch.manual_seed(seed)
    state, genotype = random_state(network), write_release(network.genotype.arch, network.genotype.order)
    inferred = infer_network(state, genotype)
    cfg = model_cfg(inferred, align_corners=corners)
    net = MODELS.build(cfg)
    net.load_state_dict(convert_state(state, inferred, cfg)[0])
    net.double()
    head = net.panoptic_head if network.panoptic else net.decode_head
    double = {name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    image = torch.randn(3, 3, 64, 128, dtype=torch.double)
    for training in (True, False):
        oracle = Oracle(
            double,
            genotype,
            LOW_LEVELS.index(network.genotype.arch.low_level),
            corners,
            training,
            network.panoptic,
            network.auxiliary,
        )
        net.train(training)
        net.load_state_dict(convert_state(double, inferred, cfg)[0])
        with torch.no_grad():
            ours, wanted = head.predict_maps(net.backbone(image)), oracle(image)
        assert {(where, name) for where, maps in ours.items() for name in maps} == wanted.keys()
        for (where, name), tensor in wanted.items():
            tensor = tensor[:, THINGS_FIRST] if network.panoptic and name == 'semantic' else tensor
            torch.testing.assert_close(ours[where][name], tensor, rtol=0, atol=1e-9 * tensor.abs().max().item())
    if network.panoptic:
        check_upsampling(head, ours['main'], corners)


def check_upsampling(head: Any, maps: dict[str, Tensor], corners: bool) -> None:
    """The release's way: every map resized with the flag, offsets times floor((H - 1) / (h - 1))."""
    up = head.upsample(maps, (64, 128))
    for name, tensor in maps.items():
        wanted = F.interpolate(tensor, size=(64, 128), mode='bilinear', align_corners=corners)
        wanted = wanted * (63 // (tensor.shape[2] - 1)) if name == 'offset' else wanted
        torch.testing.assert_close(getattr(up, name), wanted)


def test_the_seeds_cover_what_they_should() -> None:
    drawn = [random_network(seed) for seed in range(24)]
    archs: list[Architecture] = [network.genotype.arch for network, _ in drawn]
    assert len({arch.output_strides for arch in archs}) == 7
    assert {arch.low_level for arch in archs} == set(LOW_LEVELS)
    assert any(network.genotype.order != tuple(sorted(network.genotype.order)) for network, _ in drawn)
    assert len({(network.panoptic, network.auxiliary, corners) for network, corners in drawn}) == 8
    assert {placed.cell.op for arch in archs for placed in arch.cells} == set(RELEASE_OPS)
