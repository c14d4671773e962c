"""SeaFormer and its head against published and derived counts, their formulas written out, and in mmseg's models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import Tensor, nn

from hyctas_mm.costs import count_macs, count_params
from hyctas_mm.deploy.export import ExportOptions, export_onnx
from hyctas_mm.engine.configs import build_runner, set_data_root
from hyctas_mm.measuring.peers import peer_model, use_own_adamw
from hyctas_mm.models import LightHead, SeaFormer
from hyctas_mm.models.backbones.seaformer import VARIANTS, SqueezedAttention
from hyctas_mm.models.decode_heads.light_head import Gating
from tests.test_deploy.onnx_fixtures import save

FOLDER = Path(__file__).parents[2] / 'configs' / 'seaformer'
CONFIGS = sorted(FOLDER.glob('*.py'))
CITYSCAPES = FOLDER / 'seaformer-s_light_8xb1-160k_cityscapes-1024x1024.py'
EMBED = dict(t=(64, 96), s=(96, 128), b=(128, 160), l=(128, 160, 192))
BACKBONE = dict(t=1_620_096, s=3_912_656, b=8_485_664, l=13_725_504)
WITH_HEAD = dict(
    t=(1_667_318, 1_654_611), s=(3_990_118, 3_973_219), b=(8_605_654, 8_584_563), l=(13_951_510, 13_926_227)
)
"""For 150 and for 19 classes: sums over the authors' tables of layers. Only the former are published, rounded."""
PUBLISHED = dict(t=(1.8, 1.7), s=(4.1, 4.0), b=(8.7, 8.6), l=(14.0, 14.0))
"""Millions of the backbone with ImageNet's classes, and of the network for ADE20K."""
GMACS = dict(t=0.5626, s=1.0309, b=1.7576, l=6.3403)
"""With the head for 150 classes, at 512x512; published with norms and activations: 0.6, 1.1, 1.8, 6.5."""


class Whole(nn.Sequential):
    """Backbone and head, on the meta device."""

    def __init__(self, arch: str, classes: int) -> None:
        with torch.device('meta'):
            backbone = SeaFormer(arch)
            channels = list(backbone.out_channels)
            options: dict[str, Any] = dict(in_channels=channels, in_index=list(range(len(channels))))
            head = LightHead(EMBED[arch], num_classes=classes, norm_cfg=dict(type='BN'), **options)
            super().__init__(backbone, head)
        self.eval()


@pytest.fixture
def few_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of each in a stage, where the number changes nothing but the time."""
    one = replace(VARIANTS['s'], blocks=(1, 1), expansions=((1,), (2,), (2,), (2,), (2,), (2,)))
    monkeypatch.setitem(VARIANTS, 's', one)


@pytest.mark.parametrize('arch', VARIANTS)
def test_parameters_and_products(arch: str) -> None:
    net = Whole(arch, 150)
    assert count_params(net[0]) == BACKBONE[arch]
    found = count_params(net)
    assert (found, found - 131 * (EMBED[arch][-1] + 1)) == WITH_HEAD[arch]
    classifier = 1000 * (net[0].out_channels[-1] + 1)
    assert (round((count_params(net[0]) + classifier) / 1e6, 1), round(found / 1e6, 1)) == PUBLISHED[arch]
    assert count_macs(net, (1, 3, 512, 512)).total_g == pytest.approx(GMACS[arch], rel=1e-3)


@pytest.mark.parametrize('arch', ['t', 'l'])
def test_maps_of_odd_sizes_have_the_strides_that_are_said(arch: str) -> None:
    with torch.device('meta'):
        net = SeaFormer(arch).eval()
        maps = net(torch.empty(1, 3, 75, 203))
    assert tuple(x.shape[1] for x in maps) == net.out_channels
    assert [x.shape[2:] for x in maps] == [(-(-75 // s), -(-203 // s)) for s in net.out_strides]
    assert net.out_strides == ((8, 16, 32, 64) if arch == 'l' else (8, 32, 64))


def attended(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """Attention of vectors in columns, head by head."""
    out = []
    for q, k, v in zip(query.chunk(heads), key.chunk(heads), value.chunk(heads), strict=True):
        weights = (q.T @ k / len(q) ** 0.5).softmax(dim=1)  # (queries, keys)
        out.append(v @ weights.T)
    return torch.cat(out)


@torch.no_grad()
def test_attention_written_out() -> None:
    attention = SqueezedAttention(6, heads=2, key_channels=3, norm_cfg=dict(type='BN')).double().eval()
    x = torch.randn(1, 6, 16, 4, dtype=torch.float64)
    query, key, value = (layer(x)[0] for layer in (attention.query, attention.key, attention.value))
    rows, columns = attention.rows, attention.columns
    of_rows = attended(  # as many rows as entries of the tables
        query.mean(2) + rows.query_position[0], key.mean(2) + rows.key_position[0], value.mean(2), 2
    )
    # the columns are a quarter: halfway between the two entries in the middle of each four
    tables = [t[0].reshape(6, 4, 4)[:, :, 1:3].mean(2) for t in (columns.query_position, columns.key_position)]
    of_columns = attended(query.mean(1) + tables[0], key.mean(1) + tables[1], value.mean(1), 2)
    relu6 = nn.ReLU6()
    along = rows.project(relu6(of_rows)[None, :, :, None]) + columns.project(relu6(of_columns)[None, :, None])
    gate = attention.project(relu6(value + along))
    expected = relu6(gate + 3) / 6 * attention.detail(torch.cat([query, key, value])[None])
    assert torch.allclose(attention(x), expected)


@torch.no_grad()
def test_a_gate_is_of_the_coarser_map() -> None:
    gating = Gating(4, 6, 8, dict(type='BN')).eval()
    detail, coarse = torch.randn(1, 4, 8, 12), torch.full((1, 6, 2, 3), 0.7)
    gate = gating.gate(coarse)[:, :, :1, :1]
    assert torch.allclose(gating(detail, coarse), gating.detail(detail) * ((gate + 3) / 6).clamp(0, 1), atol=1e-6)


def test_drop_path_grows_in_each_stage() -> None:
    net = SeaFormer('s', drop_path_rate=0.2)
    rates = [[block.drop_path.drop_prob for block in stage] for stage in net.blocks]
    assert rates == [pytest.approx([0, 0.1, 0.2])] * 2


def test_every_weight_learns() -> None:
    net = SeaFormer('t', drop_path_rate=0.0)
    sum(x.square().mean() for x in net(torch.randn(2, 3, 128, 192))).backward()
    assert [n for n, p in net.named_parameters() if not p.grad.any() or not p.grad.isfinite().all()] == []


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="arch='m'; expected one of t, s, b, l"):
        SeaFormer('m')
    with pytest.raises(
        ValueError, match=r'embed_channels=\[8\] for in_channels=\[4, 6, 8\]; expected one entry for each'
    ):
        LightHead([8], in_channels=[4, 6, 8], in_index=[0, 1, 2], num_classes=3)


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_config(path: Path) -> None:
    """Its head reads what the backbone gives, its batch and crops are those of its name, and its rates the authors'."""
    cfg = Config.fromfile(path)
    with torch.device('meta'), DefaultScope.overwrite_default_scope('mmseg'):
        net = MODELS.build(cfg.model)
    assert cfg.model.decode_head.in_channels == list(net.backbone.out_channels)
    classes, rate = (19, 3e-4) if 'cityscapes' in path.stem else (150, 5e-4)
    assert count_params(net) == WITH_HEAD['s'][classes == 19] and cfg.optim_wrapper.optimizer.lr == rate
    crops = [tuple(t.crop_size) for t in cfg.train_dataloader.dataset.pipeline if t.type == 'RandomCrop']
    assert crops == [tuple(cfg.model.data_preprocessor.size)] and '{}x{}'.format(*crops[0]) in path.stem
    processes, batch = map(int, path.stem.split('_')[2].split('-')[0].split('xb'))
    assert cfg.train_dataloader.batch_size == batch and cfg.auto_scale_lr.base_batch_size == processes * batch


def test_it_is_a_peer() -> None:
    """From scratch, with plain norms and one rate for all parts."""
    cfg = Config.fromfile(CITYSCAPES)
    with torch.device('meta'):
        net = MODELS.build(peer_model('seaformer-s', 5))
    assert net.num_classes == 5 and isinstance(net.backbone.stem[0].bn, nn.BatchNorm2d)
    use_own_adamw(cfg, 'seaformer-s')
    assert cfg.optim_wrapper.optimizer.lr == pytest.approx(3e-3)
    assert sorted(cfg.optim_wrapper.paramwise_cfg.custom_keys) == ['bn', 'position']


def on_toy_streets(root: Path, work_dir: Path) -> Config:
    """The config for toy streets, which are laid out and labelled as Cityscapes."""
    cfg = Config.fromfile(CITYSCAPES)
    set_data_root(cfg, str(root))
    for part in (cfg.model.backbone, cfg.model.decode_head):
        part.norm_cfg.type = 'BN'
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
        for step in loader.dataset.pipeline:
            step.update({k: v for k, v in dict(scale=(256, 128), crop_size=(128, 128)).items() if k in step})
    cfg.train_dataloader.batch_size = 2  # norms over one position of one image have nothing to average
    cfg.model.data_preprocessor.size = (128, 128)
    cfg.train_cfg.update(max_iters=2, val_interval=2)
    cfg.update(work_dir=str(work_dir))
    return cfg


@pytest.mark.slow
@pytest.mark.usefixtures('few_blocks')
def test_a_config_trains(toy_root: Path, tmp_path: Path) -> None:
    """Two steps and a validation; tables of positions and norms without decay, a head that learns faster."""
    runner = build_runner(on_toy_streets(toy_root, tmp_path))
    runner.train()
    assert (tmp_path / 'iter_2.pth').is_file()
    of = {id(group['params'][0]): group for group in runner.optim_wrapper.optimizer.param_groups}
    groups = {name: of[id(parameter)] for name, parameter in runner.model.named_parameters()}
    free = {name for name, group in groups.items() if not group['weight_decay']}
    expected = {n for n in groups if n.startswith('backbone') and ('.bn.' in n or n.endswith('_position'))}
    assert free == expected
    ratios = {
        groups[name]['lr'] / groups['backbone.stem.0.conv.weight']['lr'] for name in groups if 'decode_head' in name
    }
    assert list(ratios) == [pytest.approx(10)]


@pytest.mark.slow
@pytest.mark.usefixtures('few_blocks')
def test_onnx(toy_root: Path, tmp_path: Path) -> None:
    """At a height that is no multiple of any stride."""
    network = save(on_toy_streets(toy_root, tmp_path), tmp_path)
    result = export_onnx(*network, tmp_path / 'model.onnx', (90, 128), ExportOptions(images=1))
    assert result.max_difference < 1e-4 and result.real_images == 1
