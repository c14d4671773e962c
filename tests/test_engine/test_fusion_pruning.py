"""Gated fusion from training to the pruned network's files, on a backbone of mmseg's."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.distributed as dist
from mmengine.config import Config, ConfigDict
from mmengine.model import BaseModel, MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.registry import MODELS
from mmengine.runner import Runner
from torch import Tensor, nn

from hyctas_mm.engine.checkpoint import read_checkpoint
from hyctas_mm.engine.hooks import GateSparsityHook
from hyctas_mm.models import DenseFusionNeck
from tests.conftest import run_script
from tests.ranks import in_ranks
from tests.tiny_jobs import FAST, config, run

SHUT = {(0, 1), (3, 1), (1, 2)}


def fused(root: Path, work_dir: Path) -> Config:
    """Two steps of a narrow ResNet-18 with the neck."""
    cfg = config('subnet', root, work_dir, **FAST)
    cfg.model = ConfigDict(
        type='EncoderDecoder',
        data_preprocessor=cfg.model.data_preprocessor,
        backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=8, norm_cfg=dict(type='BN')),
        neck=dict(
            type='DenseFusionNeck',
            in_channels=[8, 16, 32, 64],
            strides=[4, 8, 16, 32],
            out_channels=8,
            out_levels=[1, 2],
        ),
        decode_head=dict(
            type='FCNHead',
            in_channels=[8, 8],
            in_index=[0, 1],
            input_transform='resize_concat',
            channels=8,
            num_convs=1,
            num_classes=11,
            norm_cfg=dict(type='BN'),
        ),
        train_cfg=dict(),
        test_cfg=dict(mode='whole'),
    )
    cfg.custom_hooks = [dict(type='GateSparsityHook', weight=0.1)]
    return cfg


@pytest.fixture(scope='module')
def trained(toy_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    work_dir = tmp_path_factory.mktemp('fused')
    cfg = fused(toy_root, work_dir)
    cfg.dump(str(work_dir / 'fused.py'))
    return run(cfg)


def logged(runner: Runner, name: str) -> float:
    return float(runner.message_hub.get_scalar(f'train/{name}').current())


@pytest.mark.slow
def test_the_loss_reaches_training(trained: Runner) -> None:
    parts = [logged(trained, name) for name in ('decode.loss_ce', 'loss_gates')]
    assert logged(trained, 'loss') == pytest.approx(sum(parts)) and 0.2 < parts[1] < 0.3  # 2 * 0.1 * 2 log 2 = 0.277
    assert logged(trained, 'gates') == pytest.approx(0.5, abs=0.01)
    assert trained.model.neck.gate_logits.all()
    assert not trained.model._forward_hooks  # other trainings of the model are not disturbed


@pytest.mark.slow
def test_what_is_pruned_is_a_config_and_weights(
    trained: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config_file, out = Path(trained.work_dir) / 'fused.py', tmp_path / 'pruned'
    saved = torch.load(Path(trained.work_dir) / 'iter_2.pth', weights_only=False)
    neck = trained.model.neck
    logits = torch.tensor([-200.0 if c in SHUT else 1.0 for c in neck.connections])
    saved['state_dict']['neck.gate_logits'] = logits
    torch.save(saved, tmp_path / 'sparse.pth')
    assert run_script(monkeypatch, 'tools/prune_fusion.py', config_file, tmp_path / 'sparse.pth', '--out', out) == 0
    told = capsys.readouterr().out
    assert 'level 3 to 1: gate 0.000, removed' in told and 'level 0 to 2: gate 0.731, stays' in told
    assert '5 of 8 connections' in told

    cfg = Config.fromfile(out / 'config.py')
    assert set(cfg.model.neck.connections) == set(neck.connections) - SHUT and not cfg.custom_hooks
    weights = read_checkpoint(out / 'weights.pth')
    assert weights['meta']['dataset_meta']['classes'] == list(saved['meta']['dataset_meta']['classes'])
    pruned, gated = MODELS.build(cfg.model).eval(), MODELS.build(trained.cfg.model).eval()
    pruned.load_state_dict(weights['state_dict'])
    gated.load_state_dict(saved['state_dict'])
    x = torch.randn(2, 3, 65, 97)
    with torch.no_grad():
        torch.testing.assert_close(pruned(x), gated(x), rtol=1e-6, atol=1e-6)

    cfg.work_dir, cfg.load_from = str(tmp_path / 'work'), str(out / 'weights.pth')
    assert run(cfg).iter == 2  # it trains on
    again = ('tools/prune_fusion.py', out / 'config.py', out / 'weights.pth', '--out', tmp_path / 'again')
    assert run_script(monkeypatch, *again) == 2 and 'was it pruned already' in capsys.readouterr().err


class Fused(BaseModel):
    """A neck alone, whose loss is the mean of its outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.neck = DenseFusionNeck([2, 3], [4, 8], 4)

    def forward(self, fine: Tensor, coarse: Tensor, mode: str) -> dict[str, Tensor]:
        return dict(loss_mean=torch.stack([y.mean() for y in self.neck((fine, coarse))]).mean())


def wrapped_step(folder: Path) -> dict[str, Any]:
    """A step of a process of several, each on an image of its own."""
    torch.manual_seed(0)
    model = MMDistributedDataParallel(Fused())
    hook = GateSparsityHook(weight=1.0)
    hook.before_train(SimpleNamespace(model=model))
    torch.manual_seed(dist.get_rank())
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1.0))
    data = dict(fine=torch.randn(1, 2, 9, 9), coarse=torch.randn(1, 3, 5, 5))
    logs = model.train_step(data, wrapper)
    return {k: float(v) for k, v in logs.items()} | dict(gates=model.module.neck.gates().tolist())


@pytest.mark.slow
def test_it_reaches_the_model_within_a_wrapper_of_processes(tmp_path: Path) -> None:
    name = 'tests.test_engine.test_fusion_pruning:wrapped_step'
    first, second = in_ranks(name, [2], tmp_path)[2]
    assert first['loss_mean'] != second['loss_mean'] and first['gates'] == second['gates'] != [0.5] * 4
    assert all(
        s['loss'] == pytest.approx(s['loss_mean'] + s['loss_gates']) and s['loss_gates'] > 2 for s in (first, second)
    )


def test_wrong_configs_are_refused(
    fast_training: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (fast_training, 'none.pth', '--out', tmp_path)
    assert run_script(monkeypatch, 'tools/prune_fusion.py', *arguments) == 2
    assert "model.neck is NoneType; expected 'DenseFusionNeck'" in capsys.readouterr().err


def test_the_hook_refuses_a_model_without_gates() -> None:
    with pytest.raises(ValueError, match='Conv2d has no DenseFusionNeck with gates'):
        GateSparsityHook().before_train(type('Runner', (), dict(model=nn.Conv2d(1, 1, 1)))())
    for options, message in ((dict(weight=0), 'weight=0'), (dict(density=1.0), r'density=1\.0')):
        with pytest.raises(ValueError, match=message):
            GateSparsityHook(**options)
