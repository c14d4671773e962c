"""A network trained on in 8 bits: it goes on where it was stopped, and INT8 files are made of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from hyctas_mm.deploy.folder import FolderOptions, write_folder
from hyctas_mm.engine import int8_training
from hyctas_mm.engine.int8 import RANGES, Int8Hook
from hyctas_mm.engine.int8_training import train_int8
from hyctas_mm.engine.retraining import retrain
from tests.conftest import run_script

pytestmark = pytest.mark.slow


def weights(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)['state_dict']


def test_trained_on_in_8_bits(
    fast_search: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = min((fast_search / 'search' / 'subnets').iterdir())
    with pytest.raises(FileNotFoundError, match='retrain the network first'):
        train_int8(folder, 3)
    with pytest.raises(ValueError, match='expected 1 step or more'):
        train_int8(folder, 0)
    retrain(folder)
    steps = []
    whole = Int8Hook.after_train_iter

    def stops(hook: Int8Hook, runner: Any, *args: Any, **options: Any) -> None:
        whole(hook, runner)
        steps.append((runner.iter, runner.model.training, dict(hook._int8.ranges)))
        if len(steps) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Int8Hook, 'after_train_iter', stops)
    with pytest.raises(KeyboardInterrupt):
        train_int8(folder, 3)
    assert not (folder / 'int8.pth').exists()
    kept = torch.load(folder / 'int8_3' / 'iter_1.pth', weights_only=False)[RANGES]
    assert kept == steps[0][2] and kept
    arguments = (fast_search, '--networks', folder.name, '--qat', 3)
    assert run_script(monkeypatch, 'tools/retrain.py', *arguments) == 0
    assert 'in 8 bits: mIoU' in capsys.readouterr().out
    assert [(number, training) for number, training, _ in steps] == [(0, False), (1, False), (1, False), (2, False)]
    assert all(ranges == kept for _, _, ranges in steps)
    before, after = weights(folder / 'retrained.pth'), weights(folder / 'int8.pth')
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[name], after[name]) for name in before if name.endswith('conv.weight'))
    assert all(torch.equal(before[name], after[name]) for name in before if 'running' in name)
    found = json.loads((folder / 'results.json').read_text())['int8']
    assert (
        found['steps'] == 3 and 0 <= found['after']['mIoU'] <= 100 and found['before'].keys() == found['after'].keys()
    )

    monkeypatch.setattr(int8_training, 'start_runner', None)
    assert train_int8(folder, 3) == found  # nothing is trained again
    with pytest.raises(ValueError, match='was trained for 3 steps, now --qat 4'):
        train_int8(folder, 4)
    options = FolderOptions((64, 128), precisions=('int8',), calibration=2, val_images=2, seconds=0.01, rounds=2)
    readme = write_folder(folder, options)
    assert 'made from `int8.pth`' in readme.read_text()
    notes = json.loads(readme.with_name('deploy.json').read_text())
    assert notes['int8_weights_sha1'] and notes['files']['onnxruntime int8']['metrics']
