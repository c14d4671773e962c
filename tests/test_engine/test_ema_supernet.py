"""mmengine's EMAHook on the supernet: slimmable parameters, statistics with three slots, and what the search reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.hooks import EMAHook
from mmengine.runner import Runner

from hyctas_mm.archs import SearchSpace
from hyctas_mm.engine.checkpoint import load_supernet, read_checkpoint
from hyctas_mm.models import cut_subnet
from hyctas_mm.registry import MODELS
from tests.tiny_jobs import SPACE, config, run

pytestmark = pytest.mark.slow

MOMENTUM = 0.3
HOOKS = [dict(type='SampleArchHook', seed=0), dict(type='EMAHook', momentum=MOMENTUM)]


def test_checkpoints_have_the_average_which_is_searched(toy_root: Path, tmp_path: Path, monkeypatch) -> None:
    weights: list[dict[str, torch.Tensor]] = []
    loaded: list[dict[str, torch.Tensor]] = []
    original, original_load = EMAHook.after_train_iter, EMAHook.after_load_checkpoint

    def record(self, runner: Runner, *args, **kwargs) -> None:
        original(self, runner, *args, **kwargs)
        weights.append({k: v.clone() for k, v in runner.model.state_dict().items()})

    def record_load(self, runner: Runner, checkpoint: dict) -> None:
        original_load(self, runner, checkpoint)
        loaded.append({k: v.clone() for k, v in self.ema_model.module.state_dict().items()})

    monkeypatch.setattr(EMAHook, 'after_train_iter', record)
    monkeypatch.setattr(EMAHook, 'after_load_checkpoint', record_load)
    options = {'custom_hooks': HOOKS, 'default_hooks.checkpoint.interval': 2}
    run(config('supernet', toy_root, tmp_path, **options, **{'train_cfg.max_iters': 2}))
    runner = run(config('supernet', toy_root, tmp_path, **options, resume=True))

    parameters = dict(runner.model.named_parameters())
    average = dict(weights[0])
    for step in weights[1:]:
        average = {k: (1 - MOMENTUM) * average[k] + MOMENTUM * v if k in parameters else v for k, v in step.items()}
    middle, end = (read_checkpoint(tmp_path / f'iter_{n}.pth') for n in (2, 4))
    assert end['state_dict'].keys() == average.keys()
    for key, tensor in end['state_dict'].items():
        torch.testing.assert_close(tensor, average[key], msg=key)
    for key, tensor in loaded[0].items():
        torch.testing.assert_close(tensor, middle['state_dict'][key], msg=key)
    differing = [k for k in parameters if not torch.equal(end['state_dict'][k], weights[-1][k])]
    assert differing, 'the average is not the last step'
    slots = [k for k, v in end['state_dict'].items() if k.endswith('running_mean') and v.ndim == 2]
    assert slots and all(torch.equal(end['state_dict'][k], weights[-1][k]) for k in slots)

    cfg = config('supernet', toy_root, tmp_path)
    model, space = MODELS.build(cfg.model), SearchSpace(**SPACE)
    load_supernet(model, tmp_path / 'iter_4.pth', space)
    key = differing[0]
    torch.testing.assert_close(model.state_dict()[key], end['state_dict'][key])
    subnet = cut_subnet(model.eval(), cfg.model.to_dict(), space.sample(np.random.default_rng(0), 3))
    assert subnet(torch.randn(1, 3, 64, 64)).isfinite().all()
