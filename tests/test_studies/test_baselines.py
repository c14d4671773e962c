"""Scores without training, of networks whose scores follow from their definition."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hyctas_mm.archs import SearchSpace
from hyctas_mm.studies.baselines import BASELINES, measure_baselines, naswot, synflow
from tests.tiny_jobs import config


def linear(*rows: list[float]) -> nn.Linear:
    layer = nn.Linear(len(rows[0]), len(rows), bias=False)
    layer.weight.data = torch.tensor(rows)
    return layer


def test_naswot_counts_where_two_images_are_alike() -> None:
    """Of three units two are on for the first image, one of them for the second: alike at two of three places."""
    net = nn.Sequential(nn.Flatten(), linear([1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]), nn.ReLU())
    images = torch.tensor([[1.0, 1.0], [1.0, -0.5]])
    assert naswot(net, images) == pytest.approx(math.log(3 * 3 - 2 * 2))
    twice = nn.Sequential(net, nn.ReLU())
    assert naswot(twice, images) == pytest.approx(math.log(6 * 6 - 4 * 4)), 'each ReLU counts'


@pytest.mark.parametrize('relu', [torch.relu, nn.functional.relu, lambda x: x.relu_(), nn.ReLU(inplace=True)])
def test_all_ways_to_write_a_relu_count(relu) -> None:
    class Net(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return relu(x.clone())

    assert naswot(Net(), torch.tensor([[1.0, -1.0], [1.0, 1.0]])) == pytest.approx(math.log(4 - 1))


def test_synflow_is_the_sum_over_paths() -> None:
    """Two layers: each layer's share of value times gradient is the sum over paths of the product of their weights."""
    first, second = linear([1.0, -2.0], [3.0, 0.5]), linear([-1.0, 2.0])
    paths = (1 + 2) * 1 + (3 + 0.5) * 2
    net = nn.Sequential(first, nn.ReLU(), second)
    assert synflow(net, torch.zeros(4, 2)) == pytest.approx(math.log(2 * paths))
    assert first.weight.data[0, 1] == -2, 'the network is left as it was'
    assert torch.equal(second.weight.data, torch.tensor([[-1.0, 2.0]])) and net.training


def test_of_our_networks(toy_root: Path, tmp_path: Path) -> None:
    recipe = config('subnet', toy_root, tmp_path, **{'train_dataloader.batch_size': 4})
    rng = np.random.default_rng(0)
    archs = [SearchSpace(layers=4, base_channels=4).sample(rng, n) for n in (1, 3)]
    networks = [dict(archid=arch.archid, arch=arch.to_dict()) for arch in archs]
    found = measure_baselines(recipe, networks, 4)
    assert found == measure_baselines(recipe, networks, 4) and set(found) == set(BASELINES)
    for scores in found.values():
        assert len(set(scores.values())) == 2 and all(map(math.isfinite, scores.values()))
    known = {name: dict.fromkeys(scores, 7.0) for name, scores in found.items()}
    assert measure_baselines(recipe, networks, 4, known) == known
