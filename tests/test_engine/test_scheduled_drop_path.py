from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from hyctas_mm.archs import load_arch
from hyctas_mm.engine.hooks import ScheduledDropPathHook
from hyctas_mm.models import HyCTASBackbone
from hyctas_mm.models.ops import build_op

BN = dict(type='BN')


class Logger:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def warning(self, line: str) -> None:
        self.lines.append(line)


def runner_of(model: nn.Module, iteration: int = 0) -> Any:
    return SimpleNamespace(model=model, iter=iteration, max_iters=100, logger=Logger())


def net(arch: str = 'hyctas-m') -> HyCTASBackbone:
    torch.manual_seed(0)
    return HyCTASBackbone(arch=arch, base_channels=2, outputs='branches')


def test_the_probability_rises_linearly_on_droppable_ops_only() -> None:
    model, hook = nn.ModuleDict(dict(backbone=net())), ScheduledDropPathHook(0.2)
    hook.before_train(runner_of(model))
    for iteration, prob in ((0, 0.0), (50, 0.1), (99, 0.198)):
        hook.before_train_iter(runner_of(model, iteration), 0)
        for op in model.backbone.cells.values():
            assert op.drop_path.drop_prob == pytest.approx(prob if op.droppable else 0.0)
    kinds = {type(op).__name__: op.droppable for op in model.backbone.cells.values()}
    assert kinds['Attention'] and not kinds['Conv']


@pytest.mark.parametrize(
    ('op', 'down'), [('lite_conv', False), ('lite_conv_2x', False), ('attention', False), ('attention', True)]
)
def test_what_is_dropped_is_the_path_beside_the_bypass(op: str, down: bool) -> None:
    torch.manual_seed(0)
    module = build_op(op, 6, 10, down, BN).train()
    nn.init.constant_(module.attend.gamma, 1.0) if op == 'attention' else None
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.bias, 0.1, 1.0)  # so that nothing after a dropped path would stay zero by itself
    module.drop_path.drop_prob = 1 - 1e-9  # drops every image
    x = torch.randn(4, 6, 8, 8)
    assert module.droppable
    torch.testing.assert_close(module(x), module.bypass(x).relu())


def test_images_are_dropped_one_by_one_and_the_mean_is_kept() -> None:
    module = build_op('lite_conv', 4, 4, False, BN).train()
    module.drop_path.drop_prob = 0.5
    torch.manual_seed(0)
    x = torch.rand(2000, 4, 2, 2) + 1
    y = module.drop_path(x)
    dropped = (y == 0).flatten(1).all(1)
    assert 0.45 < dropped.float().mean() < 0.55
    torch.testing.assert_close(y[~dropped], 2 * x[~dropped])


def test_a_chain_survives_and_evaluation_drops_nothing() -> None:
    """The release's wrapper around whole cells would leave M with its last cell in 2 of 100 images at 0.2."""
    model = net()
    x = torch.randn(4, 3, 64, 64)
    model.eval()
    plain = model(x).branches[0][-1]
    model.set_drop_path(0.99)
    torch.testing.assert_close(model(x).branches[0][-1], plain)
    model.train()
    last = model(x).branches[0][-1]
    assert not torch.equal(last, plain)
    assert (last.flatten(1).abs().sum(1) > 0).all()


def test_models_that_cannot_drop_are_told() -> None:
    hook = ScheduledDropPathHook()
    with pytest.raises(ValueError, match='Conv2d has no HyCTASBackbone'):
        hook.before_train(runner_of(nn.Conv2d(1, 1, 1)))
    plain = load_arch('hyctas-s').to_dict() | dict(branches=[[dict(op='conv', width=12)]])
    runner = runner_of(nn.ModuleDict(dict(backbone=HyCTASBackbone(arch=plain, base_channels=2))))
    hook.before_train(runner)
    assert 'nothing will be dropped' in runner.logger.lines[0]
    with pytest.raises(ValueError, match='max_prob=1.0'):
        ScheduledDropPathHook(1.0)


def test_the_supernet_drops_too() -> None:
    supernet = HyCTASBackbone(search_space=dict(layers=4, base_channels=2))
    assert supernet.set_drop_path(0.1) > 10
