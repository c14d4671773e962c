"""HRViT against the counts of its authors' code, and in mmseg's models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from hyctas_mm.costs import count_macs, count_params
from hyctas_mm.engine.configs import build_runner, set_data_root
from hyctas_mm.models import HRViT, LinearSegformerHead
from hyctas_mm.models.backbones.hrvit import VARIANTS, Fusion, KroneckerShortcut
from tests.test_drop_in import assert_trains, labelled, predict

FOLDER = Path(__file__).parents[2] / 'configs' / 'hrvit'
CONFIGS = sorted(FOLDER.glob('*.py'))
BACKBONE = dict(b1=7_758_008, b2=20_310_944, b3=25_507_960)
WITH_HEAD = dict(b1=(8_183_118, 8_149_451), b2=(20_809_782, 20_776_115), b3=(28_724_494, 28_623_755))
"""With SegFormer's head for 150 and for 19 classes."""
GMACS = dict(b1=(1.746, 10.585, 52.25), b2=(4.221, 24.82, 118.0), b3=(4.806, 28.40, 135.7))
"""At 224, 512 and 1024 pixels squared."""
ATTENTION_GMACS = dict(b1=2.50, b2=4.72, b3=5.60)
"""Of these the products of attention, at 512x512."""
SHORTCUTS = dict(b1=(92, 144, 344, 544), b2=((8, 6), (8, 12), (16, 15), (16, 24)))


@pytest.fixture
def few_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most two blocks in a stage, where the number changes nothing but the time."""
    b1 = VARIANTS['b1']
    blocks = tuple(tuple(min(2, count) for count in counts) for counts in b1.blocks)
    monkeypatch.setitem(VARIANTS, 'b1', replace(b1, blocks=blocks))


def on_meta(arch: str) -> HRViT:
    with torch.device('meta'):
        return HRViT(arch).eval()


@pytest.mark.parametrize('arch', VARIANTS)
def test_parameters_are_those_of_the_authors_code(arch: str) -> None:
    net = on_meta(arch)
    assert count_params(net) == BACKBONE[arch] and count_params(net.stem) == 19_584
    channels = 768 if arch == 'b3' else 256
    for classes, expected in zip((150, 19), WITH_HEAD[arch], strict=True):
        options: dict[str, Any] = dict(in_channels=net.out_channels, in_index=[0, 1, 2, 3], norm_cfg=dict(type='BN'))
        head = LinearSegformerHead(channels=channels, num_classes=classes, align_corners=False, **options)
        assert count_params(net) + count_params(head) == expected


@pytest.mark.parametrize('arch', VARIANTS)
def test_products_are_those_of_the_authors_code(arch: str) -> None:
    net = on_meta(arch)
    found = [count_macs(net, (1, 3, side, side)) for side in (224, 512, 1024)]
    assert [macs.total_g for macs in found] == pytest.approx(list(GMACS[arch]), rel=1e-3)
    assert found[1].attention / 1e9 == pytest.approx(ATTENTION_GMACS[arch], rel=2e-3)


def test_a_shortcut_is_a_kronecker_product() -> None:
    sizes = [KroneckerShortcut(c) for c in VARIANTS['b1'].channels]
    assert [count_params(s) for s in sizes] == list(SHORTCUTS['b1'])
    found = [KroneckerShortcut(c) for c in VARIANTS['b2'].channels]
    assert [(s.inner.in_features, s.outer.in_features) for s in found] == list(SHORTCUTS['b2'])
    shortcut, x = KroneckerShortcut(48).double(), torch.randn(1, 48, 1, 1, dtype=torch.float64)
    nn.init.zeros_(shortcut.inner.bias)
    # without GELU's bend: the product of the two matrices
    shortcut.inner.weight.data = torch.eye(8, dtype=torch.float64)
    inside = nn.functional.gelu(x.flatten())
    outer = torch.kron(shortcut.outer.weight, torch.eye(8, dtype=torch.float64))
    expected = outer @ inside + shortcut.outer.bias.repeat_interleave(8)
    assert torch.allclose(shortcut(x).flatten(), expected)


def test_maps_of_odd_sizes_meet() -> None:
    net = HRViT('b1').eval()
    with torch.no_grad():
        found = [tuple(x.shape) for x in net(torch.randn(1, 3, 75, 101))]
    assert found == [(1, 32, 19, 26), (1, 64, 10, 13), (1, 128, 5, 7), (1, 256, 3, 4)]


def test_a_fusion_adds_all_and_begins_a_branch() -> None:
    fusion = Fusion([4, 6], [4, 6, 8], dict(type='BN')).eval()
    maps = [torch.randn(1, 4, 8, 12), torch.randn(1, 6, 4, 6)]
    with torch.no_grad():
        found = fusion(maps)
        (same, up), (down, _), (quarter, half) = fusion.paths
        repeated = up(maps[1]).repeat_interleave(2, 2).repeat_interleave(2, 3)
        expected = [same(maps[0]) + repeated, down(maps[0]) + maps[1], quarter(maps[0]) + half(maps[1])]
    assert [tuple(x.shape) for x in found] == [(1, 4, 8, 12), (1, 6, 4, 6), (1, 8, 2, 3)]
    for x, y in zip(found, expected, strict=True):
        assert torch.allclose(x, nn.functional.gelu(y))
    assert quarter[0].kernel_size == (5, 5) and quarter[0].stride == (4, 4)


def test_drop_path_grows_from_module_to_module() -> None:
    net = HRViT('b1', drop_path_rate=0.21)
    deepest = [stage[min(2, len(stage) - 1)].blocks[-1].drop_path.drop_prob for stage in net.stages]
    assert deepest == sorted(deepest) and deepest[0] == 0
    assert deepest == pytest.approx([0, 0.01, 0.07, 0.13, 0.19, 0.21])
    attention = net.stages[0][0].blocks[0].attention
    assert not attention.norm.weight.any() and not attention.norm.bias.any(), 'attention starts as nothing'


def test_an_unknown_size_is_refused() -> None:
    with pytest.raises(ValueError, match="arch='b4'; expected one of b1, b2, b3"):
        HRViT('b4')


def read(path: Path) -> Config:
    cfg = Config.fromfile(path)
    cfg.model.backbone.norm_cfg.type = 'BN'
    for head in (cfg.model.decode_head, cfg.model.get('auxiliary_head')):
        if head:
            head.norm_cfg.type = 'BN'
    return cfg


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_config(path: Path) -> None:
    """Its heads read what the backbone gives, its batch and crops are those of its name, and the README names it."""
    cfg = read(path)
    with torch.device('meta'), DefaultScope.overwrite_default_scope('mmseg'):
        net = MODELS.build(cfg.model)
    arch = path.stem.split('_')[0].removeprefix('hrvit-')
    channels = list(VARIANTS[arch].channels)
    assert cfg.model.decode_head.in_channels == channels == list(net.backbone.out_channels)
    classes = 19 if 'cityscapes' in path.stem else 150
    assert net.num_classes == classes
    if 'segformer' in path.stem:
        assert count_params(net) == WITH_HEAD[arch][classes == 19]
    crops = [tuple(t.crop_size) for t in cfg.train_dataloader.dataset.pipeline if t.type == 'RandomCrop']
    assert crops == [tuple(cfg.model.data_preprocessor.size)] and '{}x{}'.format(*crops[0]) in path.stem
    processes, batch = map(int, path.stem.split('_')[2].split('-')[0].split('xb'))
    assert cfg.train_dataloader.batch_size == batch and cfg.auto_scale_lr.base_batch_size == processes * batch


@pytest.mark.slow
@pytest.mark.usefixtures('few_blocks')
@pytest.mark.parametrize('head', ['segformer', 'upernet'])
def test_it_trains_and_predicts_in_mmseg(head: str) -> None:
    cfg = read(FOLDER / f'hrvit-b1_{head}_8xb2-160k_ade20k-512x512.py')
    cfg.model.decode_head.channels = 32
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(cfg.model)
    model.init_weights()
    for block in model.backbone.modules():
        if hasattr(block, 'attention'):  # at its start of 0 nothing reaches the attention before it
            nn.init.ones_(block.attention.norm.weight)
    assert_trains(model, [labelled(), labelled()])
    assert predict(model, labelled()).seg_logits.data.isfinite().all()


@pytest.mark.slow
@pytest.mark.usefixtures('few_blocks')
def test_a_config_runs(toy_root: Path, tmp_path: Path) -> None:
    """Two steps on toy streets, which are laid out and labelled as Cityscapes, and a validation in windows."""
    cfg = read(FOLDER / 'hrvit-b1_segformer_4xb2-160k_cityscapes-1024x1024.py')
    set_data_root(cfg, str(toy_root))
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
        for step in loader.dataset.pipeline:
            step.update({k: v for k, v in dict(scale=(128, 64), crop_size=(64, 64)).items() if k in step})
    cfg.model.data_preprocessor.size = (64, 64)
    cfg.model.test_cfg.update(crop_size=(64, 64), stride=(48, 48))
    cfg.train_cfg.update(max_iters=2, val_interval=2)
    cfg.update(work_dir=str(tmp_path))
    runner = build_runner(cfg)
    runner.train()
    assert (tmp_path / 'iter_2.pth').is_file()


@pytest.mark.slow
@pytest.mark.usefixtures('few_blocks')
def test_onnx(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip('onnxruntime')
    net, image = HRViT('b1').eval(), torch.randn(1, 3, 70, 96)
    path = tmp_path / 'hrvit.onnx'
    torch.onnx.export(net, (image,), path, dynamo=False)
    found = onnxruntime.InferenceSession(str(path)).run(None, {'input.1': image.numpy()})
    with torch.no_grad():
        expected = net(image)
    assert all(torch.allclose(torch.from_numpy(a), b, atol=1e-4) for a, b in zip(found, expected, strict=True))
