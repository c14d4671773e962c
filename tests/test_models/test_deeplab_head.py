"""Panoptic-DeepLab's head: parameters as the paper's sizes give them, any backbone, training, predictions, ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from hyctas_mm.costs import count_params
from hyctas_mm.datasets.panoptic import toy_streets_panoptic
from hyctas_mm.deploy.export import ExportOptions, export_onnx
from hyctas_mm.evaluation import INSTANCE_OFFSET
from tests.conftest import ROOT
from tests.test_deploy.onnx_fixtures import save
from tests.test_engine.test_panoptic_search import classes_of
from tests.test_engine.test_panoptic_search import config as panoptic_config
from tests.test_models.test_panoptic_deeplab import MAIN, STUFF, THINGS, VOID, images, labelled, losses, meta

FOLDER = ROOT / 'configs' / 'panoptic'
NARROW = dict(
    aspp_channels=16,
    dilations=(1, 2, 3),
    semantic=dict(projections=(8, 4), channels=16, tower_channels=12),
    instance=dict(projections=(4, 2), channels=8, tower_channels=6),
)


# Parameters -----------------------------------------------------------------------------------------------------------


def conv(inputs: int, outputs: int, side: int = 1) -> int:
    """A convolution without bias, and weight and bias of its norm."""
    return inputs * outputs * side**2 + 2 * outputs


def separable(inputs: int, outputs: int, side: int) -> int:
    """Each channel by itself, then 1x1, both with a norm."""
    return inputs * side**2 + 2 * inputs + conv(inputs, outputs)


def branch(deep: int, low: list[int], projections: list[int], channels: int, tower: int, outputs: list[int]) -> int:
    """The whole image and 1x1 beside three 3x3 of 256 channels each, joined to 256; then the decoder and its towers."""
    pooling = 2 * conv(deep, 256) + 3 * separable(deep, 256, 3) + conv(5 * 256, 256)
    decoder, size = 0, 256
    for inputs, projected in zip(low, projections, strict=True):
        decoder += conv(inputs, projected) + separable(size + projected, channels, 5)
        size = channels
    return pooling + decoder + sum(separable(channels, tower, 5) + tower * n + n for n in outputs)


def head(deep: int, low: list[int], classes: int) -> int:
    semantic, instance = ([128, 64, 32],) * 2 if len(low) == 3 else ([64, 32], [32, 16])
    return branch(deep, low, semantic, 256, 256, [classes]) + branch(deep, low, instance, 128, 32, [1, 2])


@pytest.mark.parametrize(
    ('name', 'backbone', 'by_formula', 'golden'),
    [
        ('cityscapes/panoptic-deeplab_r50', 23_508_032, head(2048, [512, 256], 19), 6_435_014),
        ('coco/panoptic-deeplab_mobilenet-v3', 2_971_952, head(960, [40, 24], 133), 3_550_776),
        ('nuclei/panoptic-deeplab_mobilenet-v3', 2_971_952, head(960, [40, 24], 2), 3_517_109),
        ('cityscapes/panoptic-deeplab_hrnet-w48', 65_325_120, head(384, [192, 96, 48], 19), 2_225_590),
    ],
)
def test_parameters(name: str, backbone: int, by_formula: int, golden: int) -> None:
    """Of the configs. The backbones have what torchvision's ResNet-50 and MobileNetV3-Large have without their
    classifiers, and HRNetV2-W48 of its authors (65,859,379 with 19 classes) without its 534,259 behind the maps.
    """
    cfg = Config.fromfile(next(FOLDER.glob(f'{name}_*.py')))
    with torch.device('meta'), DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model)
    assert count_params(model.panoptic_head) == by_formula == golden
    assert count_params(model.backbone) == backbone


# Any backbone ---------------------------------------------------------------------------------------------------------

NORM, RELU = dict(type='BN'), dict(type='ReLU')
STAGES: dict[str, Any] = {
    f'stage{n}': dict(
        num_modules=1, num_branches=n, block='BASIC', num_blocks=(1,) * n, num_channels=(8, 16, 24, 32)[:n]
    )
    for n in (1, 2, 3, 4)
}
BACKBONES: dict[str, tuple[dict[str, Any], list[int], dict[str, Any]]] = {
    'resnet': (
        dict(type='ResNet', depth=18, base_channels=8, strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2)),
        [8, 16, 32, 64],
        {},
    ),
    'mobilenet': (dict(type='StridedMobileNetV3', arch='small', out_indices=(1, 3, 12)), [16, 24, 576], {}),
    'hrnet': (dict(type='HRNet', extra=STAGES), [8, 16, 24, 32], {}),
    'hrvit': (dict(type='HRViT', arch='b1'), [32, 64, 128, 256], {}),
    'hyctas': (dict(type='HyCTASBackbone', arch='hyctas-s', base_channels=2), [16, 11, 21, 64], {}),
    'stdc': (
        dict(
            type='mmseg.STDCNet',
            stdc_type='STDCNet1',
            in_channels=3,
            channels=(8, 8, 16, 24, 32),
            bottleneck_type='cat',
            norm_cfg=NORM,
            act_cfg=RELU,
        ),
        [16, 24, 32],
        dict(  # its maps begin at stride 8
            low_level=(0,),
            semantic=dict(projections=(8,), channels=16, tower_channels=12),
            instance=dict(projections=(4,), channels=8, tower_channels=6),
        ),
    ),
}


def cfg_of(name: str, **options: Any) -> ConfigDict:
    backbone, channels, sizes = BACKBONES[name]
    backbone = backbone | (dict(norm_eval=False) if backbone['type'] in ('ResNet', 'HRNet') else {})
    part = dict(type='PanopticDeepLabHead', in_channels=channels, num_things_classes=THINGS, num_stuff_classes=STUFF)
    preprocessor = dict(
        type='mmdet.DetDataPreprocessor', mean=[128.0] * 3, std=[64.0] * 3, pad_size_divisor=1 + 31 * (name == 'hrnet')
    )
    return ConfigDict(
        type='PanopticDeepLab',
        data_preprocessor=preprocessor,
        backbone=backbone,
        panoptic_head=part | NARROW | sizes | options,
        test_cfg=dict(stuff_area=0),
    )


def build(name: str, **options: Any) -> nn.Module:
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg_of(name, **options))
        model.init_weights()
    return model


@pytest.mark.parametrize('name', BACKBONES)
@torch.no_grad()
def test_any_backbone(name: str) -> None:
    """Images of odd sizes are segmented at their own; the raw maps are as large as the largest map."""
    model, shapes = build(name).eval(), [(75, 101), (90, 67)]
    data = dict(
        inputs=[images(1, *shape)[0] for shape in shapes],
        data_samples=[DetDataSample(metainfo=meta(shape)) for shape in shapes],
    )
    prepared = model.data_preprocessor(data)['inputs']
    semantic, center, offset = model(prepared, mode='tensor')
    size = model.backbone(prepared)[0].shape[2:]
    assert semantic.shape == (2, VOID, *size) and center.shape == (2, 1, *size) and offset.shape == (2, 2, *size)
    for sample, shape in zip(model.test_step(data), shapes):
        panoptic = sample.pred_panoptic_seg.sem_seg
        assert panoptic.shape == (1, *shape)
        labels, numbers = panoptic % INSTANCE_OFFSET, panoptic // INSTANCE_OFFSET
        assert labels.max() <= VOID and ((numbers > 0) == (labels < THINGS)).all()


@pytest.mark.parametrize('arch', ['large', 'small'])
@torch.no_grad()
def test_mobilenet_has_the_published_strides(arch: str) -> None:
    last = dict(large=(3, 6, 12, 16), small=(1, 3, 8, 12))[arch]
    net = MODELS.build(dict(type='StridedMobileNetV3', arch=arch, out_indices=last))
    net.eval()  # mmseg's gives nothing back
    channels = dict(large=(24, 40, 112, 960), small=(16, 24, 48, 576))[arch]
    maps = net(torch.zeros(1, 3, 64, 96))
    assert [tuple(x.shape[1:]) for x in maps] == [
        (size, 64 // s, 96 // s) for size, s in zip(channels, (4, 8, 16, 32), strict=True)
    ]


# Training -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('name', ['resnet', 'mobilenet'])
def test_two_steps_reach_every_parameter(name: str) -> None:
    """The second reaches what the first did not, behind scales that begin with zero."""
    model = build(name).train()
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    reached: set[str] = set()
    for step in range(2):
        found = losses(model, [labelled(seed=2 * step), labelled(seed=2 * step + 1)])
        assert set(found) == MAIN and all(value.isfinite() and value > 0 for value in found.values())
        optimizer.zero_grad()
        model.parse_losses(found)[0].backward()
        assert all(p.grad.isfinite().all() for p in model.parameters())
        reached |= {n for n, p in model.named_parameters() if p.grad.any()}
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
    assert reached == {n for n, _ in model.named_parameters()}


def test_the_branches_share_nothing() -> None:
    model = build('resnet').eval()
    features = [x.detach() for x in model.backbone(torch.randn(2, 3, 64, 96))]
    model.panoptic_head(features)['semantic'].sum().backward()
    reached = {n.split('.')[1] for n, p in model.panoptic_head.named_parameters() if p.grad is not None}
    assert reached == {'semantic'}


# Export ---------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_file_computes_what_pytorch_does(tmp_path: Path) -> None:
    """Of a size that is padded inside, with the classes."""
    root = toy_streets_panoptic(tmp_path / 'data', num_train=4, num_val=2, height=70, width=128)
    cfg = panoptic_config('subnet', root, tmp_path)
    things, stuff = classes_of(root)
    model = cfg_of('resnet', num_things_classes=things, num_stuff_classes=stuff)
    cfg.model.backbone, cfg.model.panoptic_head = model.backbone, model.panoptic_head
    network = save(cfg, tmp_path)
    options = ExportOptions(outputs='classes', preprocessing=True, images=1)
    found = export_onnx(*network, tmp_path / 'model.onnx', (70, 127), options)
    assert found.max_difference < 1e-4 and found.random_inputs > 0


# Mistakes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(low_level=(1, 4)), r'low_level=\(1, 4\) with in_channels=\[8, 16, 32, 64\]; expected places in'),
        (dict(in_index=4), 'in_index=4'),
        (dict(low_level=(2, 1, 0)), r'semantic=.*one projection for each map of low_level=\(2, 1, 0\)'),
        (dict(instance=dict(channels=8)), 'instance=.*expected projections, channels, tower_channels, with'),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build('resnet', **options)


def test_a_backbone_with_other_maps_is_refused() -> None:
    model = build('resnet', in_channels=[8, 16, 32, 65])
    with pytest.raises(ValueError, match=r'65\], but the backbone gives \[8, 16, 32, 64\]'):
        model(torch.zeros(1, 3, 64, 64), mode='tensor')
    net = dict(type='HyCTASBackbone', arch='hyctas-s', base_channels=2, outputs='branches')
    with pytest.raises(ValueError, match="outputs='pyramid'"):
        build('hyctas').panoptic_head(MODELS.build(net).eval()(torch.zeros(1, 3, 64, 64)))
