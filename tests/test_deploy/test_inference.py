"""Networks made ready for inference predict what they predicted before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner
from torch import nn
from torch.utils._pytree import tree_leaves

from hyctas_mm.datasets.panoptic import toy_streets_panoptic
from hyctas_mm.deploy.inference import prepare_for_inference
from hyctas_mm.measuring import published
from tests.conftest import compiles, supernet_cfg
from tests.test_engine.test_panoptic_search import config as panoptic_config
from tests.tiny_jobs import config


def trained(model: Any) -> nn.Module:
    """With batch norms as if it had been trained."""
    torch.manual_seed(0)
    net: nn.Module = MODELS.build(model)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    return net.eval()


def norms(net: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in net.modules())


def check(net: nn.Module, x: torch.Tensor, **options: Any) -> None:
    unfused = norms(net)
    with torch.inference_mode():
        before = net(x, mode='tensor')
    prepare_for_inference(net, **options)
    with torch.inference_mode():
        after = net(x, mode='tensor')
    before, after = ((t,) if isinstance(t, torch.Tensor) else tuple(t) for t in (before, after))
    for old, new in zip(before, after, strict=True):
        torch.testing.assert_close(new, old, atol=1e-4 * float(old.abs().max()), rtol=1e-4)
    assert norms(net) < unfused / 4  # those of attention follow no convolution
    assert not hasattr(net, 'auxiliary_head')


@pytest.mark.parametrize('channels_last', [False, True])
@pytest.mark.parametrize('name', ['hyctas-s', 'hyctas-m'])
def test_semantic_networks(name: str, channels_last: bool) -> None:
    network = published(name, (64, 96), base_channels=4, low_level=None, classes=5)
    check(trained(network.model), torch.rand(2, 3, 64, 96), channels_last=channels_last)


@compiles
def test_compiled() -> None:
    """Without a head, which is compiled in the same way: every kernel is a run of the C++ compiler."""
    arch = dict(branches=[[dict(op='lite_conv', width=4, down=True), dict(op='attention', width=4)]])
    net = nn.Sequential()
    net.add_module('backbone', trained(dict(type='HyCTASBackbone', arch=arch, base_channels=4)))
    x = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        before = net(x)
        after = prepare_for_inference(net, compile_mode='default')(x)
    for old, new in zip(before, after, strict=True):
        torch.testing.assert_close(new, old, atol=1e-4, rtol=1e-4)
    assert '_torchdynamo' in ''.join(vars(net.backbone.forward))


def overwriting(function: Callable[..., Any], mode: str) -> Callable[..., Any]:
    """In place of torch.compile where it records graphs: each recorded function takes the memory in which the one
    before left what it gave.
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        for tensor in tree_leaves(GIVEN):
            if isinstance(tensor, torch.Tensor):
                tensor.fill_(torch.nan)
        GIVEN.clear()
        GIVEN.append(function(*args, **kwargs))
        return GIVEN[0]

    return call


GIVEN: list[Any] = []


def test_recorded_graphs_do_not_overwrite_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, 'compile', overwriting)
    semantic = published('hyctas-s', (64, 96), base_channels=4, low_level=None, classes=5).model
    check(trained(semantic), torch.rand(1, 3, 64, 96), compile_mode='reduce-overhead')
    GIVEN.clear()
    root = toy_streets_panoptic(tmp_path, num_train=2, num_val=1, height=64, width=128)
    with DefaultScope.overwrite_default_scope('mmdet'):
        check(
            trained(panoptic_config('subnet', root, tmp_path).model),
            torch.rand(1, 3, 64, 64),
            compile_mode='reduce-overhead',
        )
    GIVEN.clear()


def test_heads_in_a_row_are_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    net = nn.Module()
    net.backbone, net.decode_head = nn.Conv2d(1, 1, 1), nn.ModuleList([nn.Conv2d(1, 1, 1)])
    prepare_for_inference(net, compile_mode='reduce-overhead')
    monkeypatch.setattr(torch.Tensor, 'is_cuda', True)
    with pytest.raises(ValueError, match="compile_mode='reduce-overhead' records a network as one piece"):
        prepare_for_inference(net, compile_mode='reduce-overhead')


def test_a_panoptic_network(tmp_path: Path) -> None:
    root = toy_streets_panoptic(tmp_path, num_train=2, num_val=1, height=64, width=128)
    with DefaultScope.overwrite_default_scope('mmdet'):
        check(trained(panoptic_config('subnet', root, tmp_path).model), torch.rand(1, 3, 64, 64))


def test_a_supernet_is_refused() -> None:
    with pytest.raises(ValueError, match='a supernet cannot be made ready'):
        prepare_for_inference(MODELS.build(supernet_cfg()))
    with pytest.raises(ValueError, match="compile_mode='fast'; expected one of default"):
        prepare_for_inference(nn.Conv2d(1, 1, 1), compile_mode='fast')


def test_the_hook_changes_no_score(toy_root: Path, tmp_path: Path) -> None:
    scores = []
    for hooks in ([], [dict(type='FastInferenceHook')]):
        torch.manual_seed(0)
        runner = Runner.from_cfg(
            config(
                'subnet',
                toy_root,
                tmp_path / str(len(hooks)),
                custom_hooks=hooks,
                experiment_name=f'fast-{len(hooks)}-{tmp_path.name}',
            )
        )
        scores.append(runner.test())
    assert scores[0] == scores[1]


def test_averaged_weights_are_not_swapped_into_a_fused_network(toy_root: Path, tmp_path: Path) -> None:
    hooks = [dict(type='FastInferenceHook'), dict(type='EMAHook')]
    runner = Runner.from_cfg(
        config('subnet', toy_root, tmp_path, custom_hooks=hooks, experiment_name=f'fast-ema-{tmp_path.name}')
    )
    with pytest.raises(ValueError, match='FastInferenceHook beside EMAHook'):
        runner.test()
