from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import MODELS
from mmengine.structures import PixelData
from mmseg.models.decode_heads import decode_head
from mmseg.structures import SegDataSample

from hyctas_mm.archs import SearchSpace, load_arch, zoo_names
from hyctas_mm.models import HyCTASBackbone, HyCTASHead
from hyctas_mm.models.decode_heads import hyctas_head
from tests.conftest import supernet_cfg

OHEM = dict(type='OHEMPixelSampler', thresh=0.7)


@pytest.mark.parametrize('name', zoo_names())
def test_pyramid_of_published_networks(name: str) -> None:
    backbone = HyCTASBackbone(arch=name, base_channels=4).eval()
    maps = backbone(torch.randn(1, 3, 64, 96))
    assert backbone.out_strides == (4, 8, 16, 32)
    assert [m.shape[1] for m in maps] == list(backbone.out_channels)
    assert [(64 // m.shape[2], 96 // m.shape[3]) for m in maps] == [(s, s) for s in backbone.out_strides]


@pytest.mark.parametrize('size', [(1, 1), (7, 33), (32, 32), (63, 65)])
def test_any_size_works(size: tuple[int, int], wide_space: SearchSpace) -> None:
    rng = np.random.default_rng(0)
    for _ in range(6):
        arch = wide_space.sample(rng)
        backbone = HyCTASBackbone(arch=arch, base_channels=4, outputs='branches').eval()
        head = HyCTASHead(arch=arch, base_channels=4, num_classes=3).eval()
        logits = head(backbone(torch.randn(2, 3, *size)))
        assert logits.shape[:2] == (2, 3) and torch.isfinite(logits).all()


@pytest.mark.parametrize(('low_level', 'stride'), [('none', 8), ('s4', 4), ('s4s8', 4)])
def test_stride_of_the_logits(low_level: str, stride: int) -> None:
    arch = load_arch('hyctas-s').to_dict() | dict(low_level=low_level)
    backbone = HyCTASBackbone(arch=arch, base_channels=4, outputs='branches').eval()
    head = HyCTASHead(arch=arch, base_channels=4, num_classes=3).eval()
    assert head(backbone(torch.randn(1, 3, 64, 64))).shape == (1, 3, 64 // stride, 64 // stride)


def test_no_auxiliary_heads_without_weight() -> None:
    head = HyCTASHead(arch='hyctas-s', base_channels=4, num_classes=3, aux_weight=0)
    assert len(head.aux) == 0 and head.aggregation.fuse16 is None


def test_a_prefixless_config_builds_in_both_scopes() -> None:
    from mmdet.registry import MODELS as DET
    from mmseg.registry import MODELS as SEG

    for registry in (SEG, DET):
        assert isinstance(registry.build(dict(type='HyCTASBackbone', arch='hyctas-s', base_channels=4)), HyCTASBackbone)


def test_supernet_initialises_like_the_release() -> None:
    net = MODELS.build(ConfigDict(supernet_cfg()))
    net.init_weights()
    weight = net.backbone.layers[0]['s8'].same['conv'].conv1.conv.weight
    fan_in = weight[0].numel()
    assert abs(float(weight.std()) - (2 / fan_in) ** 0.5) < 0.1 * (2 / fan_in) ** 0.5


def test_errors() -> None:
    with pytest.raises(ValueError, match='either arch or search_space'):
        HyCTASBackbone()
    with pytest.raises(ValueError, match='either arch or search_space'):
        HyCTASHead(arch='hyctas-s', search_space=dict(), num_classes=2)
    with pytest.raises(ValueError, match="outputs='map'"):
        HyCTASBackbone(arch='hyctas-s', outputs='map')
    with pytest.raises(ValueError, match="must be 'BN' or 'SyncBN'"):
        HyCTASBackbone(search_space=dict(), norm_cfg=dict(type='GN'))
    with pytest.raises(TypeError, match="outputs='branches'"):
        HyCTASHead(arch='hyctas-s', num_classes=2)((torch.zeros(1),))
    backbone = HyCTASBackbone(arch='hyctas-s', base_channels=4, outputs='branches')
    head = HyCTASHead(arch='hyctas-s', base_channels=4, num_classes=2)
    with pytest.raises(ValueError, match='batch of 2 images or more'):
        head(backbone(torch.randn(1, 3, 128, 128)))


def test_a_config_names_an_op_of_ones_own() -> None:
    from hyctas_mm.archs import ArchitectureError
    from hyctas_mm.models.ops import Conv
    from hyctas_mm.registry import register_op

    arch = dict(branches=[[dict(op='my_conv', width=12)]])
    with pytest.raises(ArchitectureError, match="unknown op 'my_conv'"):
        HyCTASBackbone(arch=arch)

    @register_op('my_conv')
    class MyConv(Conv):
        pass

    assert isinstance(HyCTASBackbone(arch=arch, base_channels=4).cells['0_0'], MyConv)
    net = MODELS.build(ConfigDict(supernet_cfg(dict(layers=4, base_channels=4, ops=['skip', 'my_conv']))))
    assert net(torch.randn(2, 3, 32, 32)).shape[1] == 5


def test_fasterseg_has_the_published_parameters() -> None:
    """Its student has 3,454,643 at inference.

    All but its head (3x3 and 1x1 convolution) and the norms of its fusion's gate is ours too.
    """
    from hyctas_mm.costs import count_params
    from hyctas_mm.models import HyCTASBackbone, HyCTASHead

    arch = load_arch('fasterseg')
    aggregation = HyCTASHead(arch=arch, base_channels=12, num_classes=19, aux_weight=0).aggregation
    head = 128 * 128 * 9 + 2 * 128 + 128 * 19 + 19
    gate_norms = 2 * 2 * 128
    assert (
        count_params(HyCTASBackbone(arch=arch, base_channels=12)) + count_params(aggregation) - gate_norms + head
        == 3_454_643
    )


@pytest.mark.parametrize(
    ('loss', 'sampler'),
    [
        (dict(type='CrossEntropyLoss', avg_non_ignore=True), None),
        ([dict(type='CrossEntropyLoss')] * 2 + [dict(type='HardestPixelsCELoss', loss_name='loss_hard')], OHEM),
    ],
)
def test_auxiliary_losses_are_mmsegs_without_the_accuracy(loss: Any, sampler: Any, monkeypatch: Any) -> None:
    arch = SearchSpace(layers=4, base_channels=2).sample(np.random.default_rng(0), 3)
    backbone = HyCTASBackbone(arch=arch, base_channels=2, outputs='branches').train()
    options = dict(num_classes=3, aux_weight=0.5, loss_decode=loss, sampler=sampler)
    head = HyCTASHead(arch=arch, base_channels=2, **options).train()
    features = backbone(torch.randn(2, 3, 64, 64))
    labels = torch.randint(0, 3, (2, 1, 64, 64)).index_fill_(2, torch.tensor([0, 1]), 255)
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]
    maps = head.predict_maps(features)
    mmsegs = decode_head.BaseDecodeHead.loss_by_feat
    expected = {name: mmsegs(head, outputs['semantic'], samples) for name, outputs in maps.items()}
    computed: list[float] = []
    accuracy = hyctas_head.pixel_accuracy
    monkeypatch.setattr(hyctas_head, 'pixel_accuracy', lambda *args: computed.append(0) or accuracy(*args))
    found = head.loss(features, samples, None)
    assert len(computed) == 1 and torch.equal(found['acc_seg'], expected['main']['acc_seg'])
    names = [name for name in expected['main'] if 'loss' in name]
    assert len(found) == 3 * len(names) + 1
    for name in names:
        assert torch.equal(found[name], expected['main'][name])
        for aux in ('aux16', 'aux32'):
            assert torch.equal(found[f'{aux}.{name}'], 0.5 * expected[aux][name])


def test_auxiliary_losses_have_their_weight() -> None:
    shared = dict(arch='hyctas-s', base_channels=2)
    backbone = HyCTASBackbone(outputs='branches', **shared).train()
    samples = [SegDataSample(gt_sem_seg=PixelData(data=torch.randint(0, 5, (1, 64, 64)))) for _ in range(2)]
    features = backbone(torch.randn(2, 3, 64, 64))
    losses = []
    for weight in (0.2, 1.0):
        torch.manual_seed(0)
        head = HyCTASHead(num_classes=5, aux_weight=weight, loss_decode=dict(type='CrossEntropyLoss'), **shared).train()
        losses.append(head.loss(features, samples, None))
    assert losses[0].keys() == losses[1].keys() and {'aux16.loss_ce', 'aux32.loss_ce', 'loss_ce'} <= losses[0].keys()
    torch.testing.assert_close(losses[0]['loss_ce'], losses[1]['loss_ce'])
    for name in ('aux16.loss_ce', 'aux32.loss_ce'):
        torch.testing.assert_close(losses[0][name], 0.2 * losses[1][name])
