"""Scores along a training."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from tests.tiny_jobs import config, run


def subnet(toy_root: Path, work_dir: Path, **options: object) -> Config:
    cfg = config('subnet', toy_root, work_dir, **{'train_cfg.max_iters': 4, 'train_cfg.val_interval': 100})
    held_out = copy.deepcopy(cfg.val_dataloader)
    held_out.dataset.indices = 3
    hook = dict(type='LearningCurveHook', steps=[1, 4], dataloaders=dict(held_out=held_out)) | options
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), hook]
    return cfg


@pytest.mark.slow
def test_scores_and_losses_are_kept_and_the_training_is_as_without(toy_root: Path, tmp_path: Path) -> None:
    run(subnet(toy_root, tmp_path / 'with'))
    plain = subnet(toy_root, tmp_path / 'without')
    plain.custom_hooks.pop()
    ended = run(plain)
    found = json.loads((tmp_path / 'with' / 'learning_curve.json').read_text())
    assert list(found['scores']) == ['1', '4'] and len(found['losses']) == 4 and found['loss'] == 'decode.loss_ce'
    assert all(set(scores) == {'val', 'held_out'} for scores in found['scores'].values())
    assert found['scores']['4']['val'] != found['scores']['4']['held_out']
    assert isinstance(ended, Runner)
    trained = torch.load(next((tmp_path / 'with').glob('*.pth')), weights_only=False)['state_dict']
    assert all(torch.equal(value, trained[name]) for name, value in ended.model.state_dict().items())
    metrics = ended.val_loop.run()
    assert found['scores']['4']['val']['mIoU'] == pytest.approx(metrics['mIoU'], abs=1e-3)


def test_mistakes_are_told(toy_root: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r'steps=\[1, 9\] in a training of 4 steps'):
        run(subnet(toy_root, tmp_path / 'long', steps=[1, 9]))
    with pytest.raises(ValueError, match="loss='loss_dice'; expected one of"):
        run(subnet(toy_root, tmp_path / 'other', loss='loss_dice'))
