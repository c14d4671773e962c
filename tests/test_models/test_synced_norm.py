"""Batch norm over all processes is batch norm of the whole batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from hyctas_mm.models.layers import SlimBatchNorm2d, batch_norm
from hyctas_mm.models.synced_norm import SyncedBatchNorm2d, together
from tests.ranks import in_ranks

SPLITS = [(2, 2), (1, 3), (1, 2, 1)]
"""Images of each process."""


def whole() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Maps far from zero, where a variance of squares would be noise; what the loss weights them by; weight, bias."""
    random = torch.Generator().manual_seed(1)
    maps, factors = (torch.randn(4, 5, 3, 2, generator=random) for _ in range(2))
    return 300 + 2 * maps, factors, torch.rand(6, generator=random) + 0.5, torch.randn(6, generator=random)


def steps(folder: Path) -> dict[str, dict[str, Tensor]]:
    """What a process gets for its images, by layer and split."""
    splits = [split for split in SPLITS if len(split) == dist.get_world_size()]
    return {f'{layer}{split}': one_step(layer, split) for layer in ('slim', 'fixed') for split in splits}


def one_step(layer: str, split: tuple[int, ...]) -> dict[str, Tensor]:
    maps, factors, weight, bias = whole()
    norm: Any = batch_norm(6 if layer == 'slim' else 5, dict(type='SyncBN', eps=1e-3, momentum=0.2), layer == 'slim')
    if layer == 'slim':
        norm.activate(5, slot=2)
    count = len(norm.weight)
    norm.load_state_dict(norm.state_dict() | dict(weight=weight[:count], bias=bias[:count]))
    x = maps.split(split)[dist.get_rank()].clone().requires_grad_()
    y = norm(x)
    (y.pow(2) * factors.split(split)[dist.get_rank()]).sum().backward()
    state = norm.active_state() if layer == 'slim' else norm.state_dict()
    found = dict(y=y.detach(), x=x.grad, weight=norm.weight.grad[:5], bias=norm.bias.grad[:5])
    return found | {n: state[n].detach().clone() for n in ('running_mean', 'running_var', 'num_batches_tracked')}


@pytest.fixture(scope='module')
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[Any]]:
    return in_ranks(f'{__name__}:steps', [2, 3], tmp_path_factory.mktemp('ranks'))


@pytest.mark.slow
@pytest.mark.parametrize('layer', ['slim', 'fixed'])
@pytest.mark.parametrize('split', SPLITS)
def test_values_gradients_and_statistics(found: dict[int, list[Any]], layer: str, split: tuple[int, ...]) -> None:
    ranks = [rank[f'{layer}{split}'] for rank in found[len(split)]]
    maps, factors, weight, bias = whole()
    weight, bias = (t[:5].clone().requires_grad_() for t in (weight, bias))
    maps.requires_grad_()
    mean, var = torch.zeros(5), torch.ones(5)
    y = F.batch_norm(maps, mean, var, weight, bias, True, 0.2, 1e-3)
    (y.pow(2) * factors).sum().backward()
    near = dict(rtol=2e-4, atol=2e-4)
    torch.testing.assert_close(torch.cat([r['y'] for r in ranks]), y.detach(), **near)
    torch.testing.assert_close(torch.cat([r['x'] for r in ranks]), maps.grad, **near)
    torch.testing.assert_close(sum(r['weight'] for r in ranks), weight.grad, **near)
    torch.testing.assert_close(sum(r['bias'] for r in ranks), bias.grad, **near)
    for rank in ranks:
        torch.testing.assert_close(rank['running_mean'], mean, **near)
        torch.testing.assert_close(rank['running_var'], var, **near)
        assert rank['num_batches_tracked'] == 1


def test_alone_it_is_the_plain_one() -> None:
    """In one process, and where it does not train."""
    x = torch.randn(3, 4, 2, 2)
    for slim in (False, True):
        plain, synced = (batch_norm(4, dict(type=name), slim) for name in ('BN', 'SyncBN'))
        assert isinstance(synced, SlimBatchNorm2d if slim else SyncedBatchNorm2d) and synced.synced
        assert not together(synced)
        torch.testing.assert_close(synced(x), plain(x), rtol=0, atol=0)
        torch.testing.assert_close(synced.state_dict(), plain.state_dict(), rtol=0, atol=0)
