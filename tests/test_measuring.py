"""Networks of others: built from mmseg's own configs, and batch norm fused without changing what they compute. Fronts:
how much of a box they cover.
"""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from hyctas_mm.costs import Target, count_params
from hyctas_mm.deploy.inference import fuse_norms
from hyctas_mm.measuring import Network, count, timing
from hyctas_mm.measuring.fronts import Box, is_above
from hyctas_mm.measuring.peers import PEERS, peer_model, use_own_adamw

RECIPE = Path(__file__).parents[1] / 'configs' / 'evidence' / 'idd_lite_subnet.py'
PARAMS = {
    'fast-scnn': 1_399_939,
    'bisenetv2': 3_358_883,
    'stdc1': 8_275_123,
    'stdc2': 12_305_587,
    'ddrnet-23-slim': 5_734_278,
    'pidnet-s': 7_720_871,
    'segformer-b0': 3_720_051,
    'mobilenetv3-lraspp': 3_284_547,
    'hrnet-w18s': 3_939_309,
    'icnet-r50': 47_527_507,
    'segnext-t': 4_229_747,
    'seaformer-s': 3_973_219,
}
"""With 19 classes, without what only training uses."""


def network(name: str, classes: int = 7) -> Network:
    return Network(name, peer_model(name, classes), (64, 128), '--shape')


@pytest.mark.parametrize('name', ['fast-scnn', 'ddrnet-23-slim', 'pidnet-s'])
def test_fusing_changes_nothing(name: str) -> None:
    torch.manual_seed(0)
    net = network(name).build(torch.device('cpu'))
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    x = torch.randn(1, 3, 64, 128)
    with torch.inference_mode(), DefaultScope.overwrite_default_scope('mmseg'):
        before = net(x)
        norms = sum(isinstance(m, torch.nn.BatchNorm2d) for m in net.modules())
        after = fuse_norms(net)(x)
    assert before.shape[1] == 7 and torch.allclose(before, after, atol=1e-4 * before.abs().max())
    assert sum(isinstance(m, torch.nn.BatchNorm2d) for m in net.modules()) < norms / 2


@pytest.mark.parametrize('name', PEERS)
def test_peers_have_the_classes_asked_for_and_no_pretrained_weights(name: str) -> None:
    model = peer_model(name, 7)
    heads = [model.decode_head, *(model.auxiliary_head if isinstance(model.get('auxiliary_head'), list) else [])]
    assert {head.num_classes for head in heads} == {7}
    assert 'Pretrained' not in str(model) and 'SyncBN' not in str(model)


@pytest.mark.parametrize('name', PEERS)
def test_params(name: str) -> None:
    assert count_params(network(name, 19).build(torch.device('cpu'))) == PARAMS[name]


def test_segnext_of_an_odd_size() -> None:
    net = network('segnext-t').build(torch.device('cpu'))
    with torch.inference_mode():
        first, second = (net(torch.ones(1, 3, 67, 93)) for _ in range(2))
    assert first.shape == (1, 7, 9, 12) and first.isfinite().all() and not first.equal(second)


def test_adamw_is_for_those_whose_own_recipe_has_it() -> None:
    recipe = Config.fromfile(RECIPE)
    found = {}
    for name in PEERS:
        cfg = copy.deepcopy(recipe)
        use_own_adamw(cfg, name)
        found[name] = cfg
    changed = [name for name, cfg in found.items() if cfg.to_dict() != recipe.to_dict()]
    assert changed == ['segformer-b0', 'segnext-t', 'seaformer-s']
    cfg = found['segnext-t']
    own, theirs = cfg.optim_wrapper, recipe.optim_wrapper
    assert own.optimizer == dict(type='AdamW', lr=pytest.approx(6e-4), betas=(0.9, 0.999), weight_decay=0.01)
    assert own.clip_grad == theirs.clip_grad and 'head' not in own.paramwise_cfg.custom_keys
    ratio = own.optimizer.lr / theirs.optimizer.lr
    assert cfg.param_scheduler[1].eta_min == pytest.approx(recipe.param_scheduler[1].eta_min * ratio)
    use_own_adamw(recipe, 'segformer-b0', 1e-3)
    assert recipe.optim_wrapper.optimizer.lr == 1e-3


def test_counts_of_a_known_network() -> None:
    found = count(Network('fast-scnn', peer_model('fast-scnn', 19), (1024, 2048), '--shape'))
    assert found['params'] / 1e6 == pytest.approx(1.4, abs=0.05)
    assert found['conv_macs'] / 1e9 == pytest.approx(7.2, abs=0.1)


def test_unknown_peer() -> None:
    with pytest.raises(ValueError, match="peer 'unet'; expected one of fast-scnn"):
        peer_model('unet', 7)


@pytest.mark.parametrize(
    ('target', 'megabytes'), [('eager', 5.6), ('cudagraph', 5.6), ('onnxruntime', None)], ids=lambda x: str(x)
)
def test_memory_of_a_pass_on_a_gpu(monkeypatch: pytest.MonkeyPatch, target: str, megabytes: float | None) -> None:
    """A recorded pass takes its memory while it is recorded; what ONNX Runtime takes PyTorch does not see."""
    allocated: list[str] = []

    class Peak:
        def __init__(self, device: torch.device) -> None:
            allocated.append('start')

        def __enter__(self) -> Peak:
            allocated.clear()
            return self

        def __exit__(self, *_: object) -> None:
            self.bytes = 4_000_000 * allocated.count('maps')

    def prepare_call(net: object, x: object, target: Target) -> object:
        if target.mode == 'cudagraph':
            allocated.append('maps')
            return lambda: None
        return lambda: allocated.append('maps' if target.mode == 'eager' else 'elsewhere')

    class Net:
        def to(self, device: torch.device) -> Net:
            return self

        def parameters(self) -> list[torch.Tensor]:
            return [torch.zeros(400_000)]

    monkeypatch.setattr(timing, 'PeakMemory', Peak)
    monkeypatch.setattr(timing, 'prepare_call', prepare_call)
    monkeypatch.setattr(timing, 'fuse_norms', lambda net: Net())
    monkeypatch.setattr(timing.torch, 'rand', lambda *_, **__: None)
    named = SimpleNamespace(build=lambda device: None, input_shape=(1, 3, 8, 8))
    assert timing.prepare(named, torch.device('cuda', 0), target)[1] == megabytes


MIDDLE = (160**0.5, 40.0)
"""Of the box from 2 to 80 ms, on its logarithmic scale, and from 30 to 50."""


@pytest.mark.parametrize(
    ('points', 'volume'),
    [
        ([], 0),
        ([(2, 50)], 1),
        ([(1, 60)], 1),
        ([(80, 50), (2, 30), (100, 45), (5, 20)], 0),
        ([MIDDLE], 0.25),
        ([MIDDLE, (2, 35)], 0.375),
        ([MIDDLE, (40, 40), (1, 35), (MIDDLE[0], 38)], 0.375),
    ],
)
def test_share_of_the_box(points: list[tuple[float, float]], volume: float) -> None:
    assert Box().volume(points) == pytest.approx(volume)


@pytest.mark.parametrize(('latency_ms', 'score'), [((0, 80), (30, 50)), ((80, 2), (30, 50)), ((2, 80), (30, 30))])
def test_no_box(latency_ms: tuple[float, float], score: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match='expected two numbers each, the smaller one first'):
        Box(latency_ms, score)


def test_above_our_front() -> None:
    """Nothing is interpolated: between two of ours the faster one counts."""
    ours = [(5, 36), (20, 40)]
    assert [is_above(peer, ours) for peer in [(4, 20), (5, 36), (5, 36.1), (19, 37), (20, 40), (50, 40.1)]] == [
        *(True, False, True),
        *(True, False, True),
    ]
    assert is_above((80, 30), [])
