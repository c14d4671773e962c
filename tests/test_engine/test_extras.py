"""What retraining adds: averaged weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.hooks import EMAHook
from torch import Tensor

from hyctas_mm.engine.checkpoint import read_checkpoint
from hyctas_mm.engine.extras import Extras
from hyctas_mm.engine.retraining import retrain
from hyctas_mm.files import read_json
from tests.conftest import run_script

pytestmark = pytest.mark.slow


def weights(path: Path) -> dict[str, Tensor]:
    return read_checkpoint(path)['state_dict']


def floats(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in state.items() if tensor.is_floating_point()}


def test_the_average_is_validated_tested_and_kept(fast_search: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = min((fast_search / 'search' / 'subnets').iterdir())
    steps: list[dict[str, Tensor]] = []
    tested: list[dict[str, Tensor]] = []
    after_step, before_test = EMAHook.after_train_iter, EMAHook.before_test_epoch

    def record(hook: EMAHook, runner: Any, *args: Any, **options: Any) -> None:
        after_step(hook, runner, *args, **options)
        steps.append({k: v.clone() for k, v in runner.model.state_dict().items()})

    def record_test(hook: EMAHook, runner: Any) -> None:
        before_test(hook, runner)
        tested.append({k: v.clone() for k, v in runner.model.state_dict().items()})

    monkeypatch.setattr(EMAHook, 'after_train_iter', record)
    monkeypatch.setattr(EMAHook, 'before_test_epoch', record_test)
    assert run_script(monkeypatch, 'tools/retrain.py', fast_search, '--networks', folder.name, '--ema', 0.3) == 0
    first, last = map(floats, steps)
    average = {name: 0.7 * first[name] + 0.3 * last[name] for name in first}
    statistics = next(name for name in first if name.endswith('running_var'))
    assert not torch.equal(average[statistics], last[statistics]), 'no step changed anything'
    for found in (weights(folder / 'retrained.pth'), weights(folder / 'train0' / 'iter_2.pth'), *tested):
        torch.testing.assert_close(floats(found), average)
    assert read_json(folder / 'results.json')['extras'] == dict(ema=0.3)
    with pytest.raises(ValueError, match=r"with extras \{'ema': 0.3\}, now \{\}"):
        retrain(folder, seed=1)


def test_a_momentum_by_the_length(fast_training: Path) -> None:
    from mmengine.config import Config

    cfg = Config.fromfile(fast_training)
    for steps, momentum in ((2, 0.1), (300, 0.02), (160_000, 0.0002)):
        cfg.train_cfg.max_iters = steps
        Extras(ema=0).add_to(cfg)
        assert cfg.custom_hooks == [dict(type='EMAHook', momentum=momentum, update_buffers=True)]
    with pytest.raises(ValueError, match='expected a momentum below 1'):
        Extras(ema=1.0)
