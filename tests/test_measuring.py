"""Networks of others: built from mmseg's own configs, and batch norm fused without changing what they compute."""

from __future__ import annotations

import pytest
import torch
from mmengine.registry import DefaultScope

from hyctas_mm.deploy.inference import fuse_norms
from hyctas_mm.measuring import Network, count
from hyctas_mm.measuring.peers import PEERS, peer_model


def network(name: str) -> Network:
    return Network(name, peer_model(name, 7), (64, 128), '--shape')


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


def test_counts_of_a_known_network() -> None:
    found = count(Network('fast-scnn', peer_model('fast-scnn', 19), (1024, 2048), '--shape'))
    assert found['params'] / 1e6 == pytest.approx(1.4, abs=0.05)
    assert found['conv_macs'] / 1e9 == pytest.approx(7.2, abs=0.1)


def test_unknown_peer() -> None:
    with pytest.raises(ValueError, match="peer 'unet'; expected one of fast-scnn"):
        peer_model('unet', 7)
