"""The central test of the project: a subnet cut out of the supernet computes what the supernet computes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import MODELS
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import nn

from hyctas_mm.archs import SearchSpace
from hyctas_mm.engine.scoring import recalibrate_bn
from hyctas_mm.models import cut_subnet, set_arch, subnet_model_cfg
from tests.conftest import DETAILED, WIDE, supernet_cfg

SPACES = dict(
    wide=WIDE,
    gates=WIDE | dict(nodes=True, gate_prob=0.5),
    detailed=WIDE | DETAILED | dict(nodes=True, stem_widths=[6, 18], head_widths=[6, 20]),
)


def awake(net: nn.Module) -> nn.Module:
    """Gives attention a say and batch norms statistics, so that no error can hide behind a zero."""
    for name, parameter in net.named_parameters():
        if name.endswith('gamma'):
            nn.init.uniform_(parameter, 0.5, 1.0)
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.normal_(module.running_mean, 0, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return net


@pytest.fixture(scope='module')
def supernet() -> nn.Module:
    torch.manual_seed(0)
    return awake(MODELS.build(ConfigDict(supernet_cfg()))).eval()


def batches(count: int = 2) -> list[dict]:
    generator = torch.Generator().manual_seed(1)
    return [
        dict(inputs=[torch.randint(0, 256, (3, 35, 67), dtype=torch.uint8, generator=generator) for _ in range(2)])
        for _ in range(count)
    ]


def relative_error(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize('shared_trunk', [False, True], ids=['own_trunks', 'shared_trunk'])
@pytest.mark.parametrize('name', SPACES)
def test_subnets_equal_the_supernet(name: str, shared_trunk: bool) -> None:
    """Every output combination, op and kind of gate, number of cells at stride 4 and depth of the head, odd sizes, in
    eval mode and after batch norm recalibration of either.
    """
    count = 30 if name == 'wide' else 16
    rng, space = np.random.default_rng(0), SearchSpace.from_dict(SPACES[name])
    cfg = supernet_cfg(SPACES[name])
    cfg['decode_head']['shared_trunk'] = shared_trunk
    torch.manual_seed(0)
    supernet = awake(MODELS.build(ConfigDict(cfg))).eval()
    archs = [space.sample(rng, n) for n, _ in zip(itertools.cycle((1, 2, 3)), range(count))]
    assert {a.output_strides for a in archs} == set(space.end_combinations())
    used = {(p.cell.op, p.cell.down) for a in archs for p in a.cells}
    assert used == {(op, down) for op in space.ops if op != 'skip' for down in (False, True)}
    ways = {(a.output_strides[g.source], a.output_strides[g.target]) for a in archs for g in a.gates}
    assert ways == (set(itertools.permutations((8, 16, 32), 2)) if space.nodes else set())
    assert {(len(a.detail), a.head_depth) for a in archs} == set(
        itertools.product(range(1 + space.detail_layers), space.head_depths)
    )
    image = torch.randn(2, 3, 45, 71)
    state = {k: v.clone() for k, v in supernet.state_dict().items()}
    for number, arch in enumerate(archs):
        supernet.load_state_dict(state)
        subnet = cut_subnet(supernet, cfg, arch)
        assert relative_error(subnet(image), supernet(image)) < 1e-5
        recalibrate_bn(subnet, batches())
        recalibrate_bn(supernet, batches())
        assert relative_error(subnet(image), supernet(image)) < 1e-5
        if number % 4 == 0:
            again = cut_subnet(supernet, cfg, arch)
            assert relative_error(again(image), supernet(image)) < 1e-5


def test_gradients_equal_the_supernets(supernet: nn.Module, wide_space: SearchSpace) -> None:
    """In training mode too, auxiliary heads included."""
    arch = wide_space.sample(np.random.default_rng(3), 3)
    subnet = cut_subnet(supernet, supernet_cfg(), arch).train()
    set_arch(supernet, arch)
    supernet.train()
    samples = [SegDataSample(gt_sem_seg=PixelData(data=torch.randint(0, 5, (1, 32, 64)))) for _ in range(2)]
    image = torch.randn(2, 3, 32, 64)
    losses = [net(image, samples, mode='loss') for net in (supernet, subnet)]
    assert set(losses[0]) == set(losses[1]) and {'decode.aux16.loss_ce', 'decode.aux32.loss_ce'} <= set(losses[0])
    for name in losses[0]:
        torch.testing.assert_close(losses[0][name], losses[1][name], rtol=1e-4, atol=1e-5)
    for loss in losses:
        sum(v for k, v in loss.items() if 'loss' in k).backward()
    ours = supernet.backbone.stem.conv2.conv.weight.grad
    width = subnet.backbone.stem.conv2.conv.weight.shape[0]
    torch.testing.assert_close(ours[:width], subnet.backbone.stem.conv2.conv.weight.grad, rtol=1e-3, atol=1e-4)
    assert ours[width:].abs().sum() == 0
    supernet.zero_grad()
    supernet.eval()


@torch.no_grad()
def test_only_the_active_architecture_is_computed(supernet: nn.Module, wide_space: SearchSpace) -> None:
    arch = wide_space.sample(np.random.default_rng(5), 1)
    set_arch(supernet, arch)
    supernet.eval()
    called: list[str] = []
    hooks = [
        m.register_forward_hook(lambda *_, name=name: called.append(name))
        for name, m in supernet.named_modules()
        if name.startswith('backbone.layers') and name.count('.') == 5
    ]
    supernet(torch.randn(1, 3, 32, 32))
    for hook in hooks:
        hook.remove()
    assert len(called) == len(arch.cells)


def test_subnet_config_keeps_the_rest() -> None:
    arch = SearchSpace.from_dict(WIDE).sample(np.random.default_rng(0))
    cfg = subnet_model_cfg(supernet_cfg(), arch)
    assert 'search_space' not in cfg.backbone and cfg.backbone.base_channels == 4 and cfg.backbone.outputs == 'branches'
    assert cfg.decode_head.num_classes == 5
    assert subnet_model_cfg(cfg, arch) == cfg


def test_errors(supernet: nn.Module) -> None:
    other = SearchSpace(layers=20, ops=('conv',)).sample(np.random.default_rng(0), 3)
    with pytest.raises(ValueError, match='not in the search space'):
        set_arch(supernet, other)
    with pytest.raises(ValueError, match='not a supernet'):
        set_arch(nn.Conv2d(1, 1, 1), other)
    fixed = MODELS.build(dict(type='HyCTASBackbone', arch='hyctas-s', base_channels=4))
    with pytest.raises(ValueError, match='one architecture'):
        fixed.set_arch(other)
