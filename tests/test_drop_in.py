"""The backbone in other people's models: mmseg's and mmdet's own, with nothing replaced but the backbone and the
channels read from it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import mmdet
import mmseg
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from hyctas_mm.engine.configs import set_data_root
from hyctas_mm.models.backbones.hyctas import HyCTASBackbone

FOLDER = Path(__file__).parents[1] / 'configs' / 'drop_in'
MMSEG, MMDET = ('fcn', 'upernet', 'segformer', 'ocrnet', 'dense-fusion'), ('retinanet', 'mask-rcnn')
HEIGHT, WIDTH, SMALL = 64, 128, 2


def read(name: str) -> Config:
    return Config.fromfile(next(FOLDER.glob(f'{name}_*.py')))


def package_configs(package: ModuleType) -> Path:
    """Where an installed package keeps its configs."""
    return Path(package.__file__).parent / '.mim' / 'configs'


def shrink(cfg: Config) -> Config:
    """The same config for a CPU, a narrow backbone and narrow heads; channels follow the backbone's."""
    backbone = cfg.model.backbone
    wide = HyCTASBackbone(arch=backbone.arch, base_channels=backbone.base_channels).out_channels
    narrow = HyCTASBackbone(arch=backbone.arch, base_channels=SMALL).out_channels
    backbone.base_channels = SMALL

    def follow(block: Any) -> None:
        if isinstance(block, list):
            for item in block:
                follow(item)
        elif isinstance(block, dict):
            if block.get('type') == 'SyncBN':  # trains on GPUs only
                block['type'] = 'BN'
            narrower = {name: 32 for name in ('channels', 'ocr_channels', 'fc_out_channels') if block.get(name, 0) > 32}
            block.update(narrower)
            channels = block.get('in_channels')
            if channels == list(wide):
                block['in_channels'] = list(narrow)
            elif isinstance(block.get('in_index'), int):
                block['in_channels'] = narrow[block['in_index']]
            for item in block.values():
                follow(item)

    follow(cfg.model)
    return cfg


@pytest.fixture
def network(request: pytest.FixtureRequest) -> Iterator[nn.Module]:
    """The small network of the config that a test is parametrised with, in the config's own scope, ready to train."""
    cfg = shrink(read(request.param))
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(cfg.model)
        model.init_weights()
        for name, parameter in model.backbone.named_parameters():
            if name.endswith('gamma'):  # at its start of 0 nothing reaches the attention behind it
                nn.init.constant_(parameter, 0.5)
        yield model


def images(number: int) -> list[Tensor]:
    return list(torch.randint(0, 256, (number, 3, HEIGHT, WIDTH), dtype=torch.uint8))


def labelled() -> SegDataSample:
    labels = torch.randint(0, 19, (1, HEIGHT, WIDTH))
    labels[:, :8] = 255
    size = (HEIGHT, WIDTH)
    meta = dict(img_shape=size, ori_shape=size, pad_shape=size)
    return SegDataSample(gt_sem_seg=PixelData(data=labels), metainfo=meta)


def boxed() -> DetDataSample:
    size = (HEIGHT, WIDTH)
    boxes = torch.tensor([[8.0, 8.0, 40.0, 56.0], [60.0, 16.0, 120.0, 48.0]])
    masks = torch.zeros(2, *size, dtype=torch.uint8)
    for mask, (left, top, right, bottom) in zip(masks, boxes.int().tolist()):
        mask[top:bottom, left:right] = 1
    objects = InstanceData(bboxes=boxes, labels=torch.tensor([1, 7]), masks=BitmapMasks(masks.numpy(), *size))
    meta = dict(img_shape=size, ori_shape=size, pad_shape=size, batch_input_shape=size, scale_factor=(1.0, 1.0))
    return DetDataSample(gt_instances=objects, metainfo=meta)


def assert_trains(model: nn.Module, samples: list[Any]) -> None:
    model.train()
    data = model.data_preprocessor(dict(inputs=images(len(samples)), data_samples=samples), training=True)
    loss, values = model.parse_losses(model(**data, mode='loss'))
    assert loss.isfinite() and all(v.isfinite() for v in values.values())
    loss.backward()
    silent = [
        n
        for n, p in model.backbone.named_parameters()
        if p.grad is None or not p.grad.any() or not p.grad.isfinite().all()
    ]
    # the softmax over keys does not change with their bias, so its gradient may vanish
    assert [n for n in silent if not n.endswith('key.bias')] == []


def predict(model: nn.Module, sample: Any) -> Any:
    model.eval()
    with torch.no_grad():
        return model.test_step(dict(inputs=images(1), data_samples=[sample]))[0]


# The configs ----------------------------------------------------------------------------------------------------------


def test_each_config_is_tested_and_in_the_readme() -> None:
    text = (FOLDER / 'README.md').read_text()
    names = {p.name for p in FOLDER.glob('*.py')}
    assert {n.split('_')[0] for n in names} == {*MMSEG, *MMDET} and all(n in text for n in names)


@pytest.mark.parametrize('name', [*MMSEG, *MMDET])
def test_channels_are_those_of_the_backbone(name: str) -> None:
    cfg = read(name)
    with torch.device('meta'):
        channels = list(MODELS.build(cfg.model.backbone).out_channels)
    readers = cfg.model.get('neck') or cfg.model.decode_head
    for reader in readers if isinstance(readers, list) else [readers]:
        assert reader.in_channels == channels
    if 'auxiliary_head' in cfg.model:
        auxiliary = cfg.model.auxiliary_head
        assert auxiliary.in_channels == channels[auxiliary.in_index]
    assert 'hyctas_mm.register' in cfg.custom_imports.imports


def differences(ours: Any, theirs: Any, where: str = '') -> set[str]:
    """Where two configs differ, e.g. ``'decode_head.0.in_channels'``."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        # inheriting from a package adds this one
        pairs = [(key, ours.get(key), theirs.get(key)) for key in {*ours, *theirs} - {'_scope_'}]
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs) and isinstance(ours[0], dict):
        pairs = [(str(i), *pair) for i, pair in enumerate(zip(ours, theirs))]
    else:
        return set() if ours == theirs else {where}
    return {path for key, a, b in pairs for path in differences(a, b, f'{where}.{key}'.lstrip('.'))}


@pytest.mark.parametrize(
    ('name', 'original', 'expected'),
    [
        # fcn_hr18 and the first head of ocrnet_hr18 are as wide as what goes in, so their own width changes too
        ('fcn', 'fcn_hr18', {'pretrained', 'decode_head.in_channels', 'decode_head.channels'}),
        ('upernet', 'upernet_r50', {'pretrained', 'decode_head.in_channels', 'auxiliary_head.in_channels'}),
        ('segformer', 'segformer_mit-b0', {'decode_head.in_channels'}),
        (
            'ocrnet',
            'ocrnet_hr18',
            {'pretrained', 'decode_head.0.in_channels', 'decode_head.0.channels', 'decode_head.1.in_channels'},
        ),
        (
            'dense-fusion',
            'fpn_r50',
            {'pretrained', *(f'neck.{key}' for key in ('type', 'in_channels', 'strides', 'norm_cfg', 'num_outs'))},
        ),
    ],
)
def test_nothing_else_differs_from_mmseg(name: str, original: str, expected: set[str]) -> None:
    ours = read(name).model
    found = differences(ours, Config.fromfile(package_configs(mmseg) / '_base_' / 'models' / f'{original}.py').model)
    # the size of the crops, which mmseg writes into its complete configs, and the preprocessing of labels of a byte
    data = {'data_preprocessor.size', 'data_preprocessor.type'}
    assert {f for f in found if not f.startswith('backbone')} == {*expected, *data}
    assert ours.pretrained is None


@pytest.mark.parametrize(
    ('name', 'original'),
    [('retinanet', 'retinanet/retinanet_r50_fpn_1x_coco.py'), ('mask-rcnn', 'mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py')],
)
def test_nothing_else_differs_from_mmdet(name: str, original: str) -> None:
    found = differences(read(name).to_dict(), Config.fromfile(package_configs(mmdet) / original).to_dict())
    assert {f for f in found if not f.startswith('model.backbone')} == {'custom_imports', 'model.neck.in_channels'}


# Training and predicting ----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize('network', MMSEG, indirect=True)
def test_segmentor_trains_and_predicts(network: nn.Module) -> None:
    assert_trains(network, [labelled(), labelled()])
    result = predict(network, labelled())
    assert result.seg_logits.data.shape == (19, HEIGHT, WIDTH) and result.seg_logits.data.isfinite().all()
    assert result.pred_sem_seg.data.shape == (1, HEIGHT, WIDTH)


@pytest.mark.slow
@pytest.mark.parametrize('network', MMDET, indirect=True)
def test_detector_trains_and_predicts(network: nn.Module) -> None:
    assert_trains(network, [boxed(), boxed()])
    network.test_cfg.get('rcnn', network.test_cfg).score_thr = 0.0  # an untrained network is sure of nothing
    found = predict(network, boxed()).pred_instances
    assert 0 < len(found) <= 100 and found.bboxes.isfinite().all() and found.scores.isfinite().all()
    assert found.bboxes.shape == (len(found), 4)
    if hasattr(network, 'roi_head'):
        assert found.masks.shape == (len(found), HEIGHT, WIDTH)


@pytest.mark.slow
def test_runner_trains_and_validates(toy_root: Path, tmp_path: Path) -> None:
    """The whole of a config, on toy streets, which are laid out and labelled as Cityscapes."""
    cfg = shrink(read('upernet'))
    set_data_root(cfg, str(toy_root))
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False, batch_size=2)
        for step in loader.dataset.pipeline:
            step.update({k: v for k, v in dict(scale=(WIDTH, HEIGHT), crop_size=(HEIGHT, HEIGHT)).items() if k in step})
    cfg.model.data_preprocessor.size = (HEIGHT, HEIGHT)
    cfg.train_cfg.update(max_iters=2, val_interval=2)
    cfg.update(work_dir=str(tmp_path), experiment_name=f'drop-in-{time.monotonic_ns()}')
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert (tmp_path / 'iter_2.pth').is_file()
    assert 0 <= runner.message_hub.get_scalar('val/mIoU').current() <= 100
