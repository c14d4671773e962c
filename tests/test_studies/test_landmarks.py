"""Landmarks are drawn evenly, trained seed by seed, and gathered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmengine.config import Config

from hyctas_mm.archs import Architecture
from hyctas_mm.evaluators import trained_networks
from hyctas_mm.studies import random_networks
from tests.tiny_jobs import config
from tools import evidence


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Network and seed in the order of the trainings, which are made up; so is latency."""
    order: list[tuple[str, int]] = []

    def retrain(folder: Path, seed: int, num_pictures: int) -> dict[str, float]:
        results = json.loads((folder / 'results.json').read_text()) if (folder / 'results.json').exists() else {}
        rng = np.random.default_rng([int(folder.name, 16), seed])
        if str(seed) not in results.setdefault('by_seed', {}):
            order.append((folder.name, seed))
            score = float(rng.uniform(20, 40))
            results['by_seed'][str(seed)] = {'mIoU': score}
            (folder / f'train{seed}').mkdir()
            curve = dict(scores={str(s): dict(val=dict(mIoU=score), held_out=dict(mIoU=1.0)) for s in (1, 3)})
            (folder / f'train{seed}' / 'learning_curve.json').write_text(json.dumps(curve))
            (folder / 'results.json').write_text(json.dumps(results))
        return dict(results['by_seed'][str(seed)])

    monkeypatch.setattr(trained_networks, 'retrain', retrain)
    monkeypatch.setattr(
        random_networks.RandomNetworks, '_measure', lambda self, arch: 100 * self.sizes(arch)['macs_g'] ** 0.5
    )
    return order


def recipe(toy_root: Path, tmp_path: Path, **hook: Any) -> Path:
    cfg: Config = config('subnet', toy_root, tmp_path / 'unused', **{'train_cfg.max_iters': 3})
    cfg.search_space = dict(layers=5, base_channels=3, stem_widths=(4, 12), head_widths=(4, 8, 12))
    cfg.custom_hooks = [dict(type='LearningCurveHook', steps=[1, 3], **hook)]
    cfg.dump(str(tmp_path / 'recipe.py'))
    return tmp_path / 'recipe.py'


def test_landmarks(
    toy_root: Path, tmp_path: Path, trained: list[tuple[str, int]], capsys: pytest.CaptureFixture
) -> None:
    command = ['landmarks', str(recipe(toy_root, tmp_path)), '--work-dir', str(tmp_path / 'run')]
    command += ['--input-hw', '32', '64', '--latency-range', '4', '5', '--per-track', '2', '--seeds', '0', '1']
    assert not evidence.main([*command, '--shard', '0', '2'])
    assert len(trained) == 6 and [seed for _, seed in trained] == [0] * 3 + [1] * 3
    assert not evidence.main([*command, '--shard', '1', '2'])
    path = tmp_path / 'run' / 'landmarks.json'
    table = json.loads(path.read_text())
    assert len(table['networks']) == 6 and len(trained) == len(set(trained)) == 12
    assert sorted(entry['track'] for entry in table['networks']) == [1, 1, 2, 2, 3, 3]
    for entry in table['networks']:
        assert Architecture.from_dict(entry['arch']).archid == entry['archid']
        assert list(entry['curves']) == ['0', '1'] and entry['track'] == len(entry['arch']['branches'])
    assert {name: len(said['scores']) for name, said in table['judges'].items()} == dict(NASWOT=6, synflow=6)
    said = table['judges'] | dict(inherited=dict(before=4, each=0, scores={}))
    path.write_text(json.dumps(table | dict(judges=said)))
    assert not evidence.main([*command, '--shard', '1', '2'])
    assert json.loads(path.read_text())['judges'] == said, 'what others said is kept'
    latencies = sorted(entry['costs']['latency_ms'] for entry in table['networks'])
    wanted = np.exp(np.log(4) + np.log(5 / 4) * np.repeat([0.25, 0.75], 3))
    assert np.allclose(latencies, wanted, rtol=0.05)
    printed = capsys.readouterr().out
    assert '6 networks of 2 seeds' in printed and 'within latency' in printed and '3 steps, val' in printed


def test_a_recipe_without_curves_is_refused(toy_root: Path, tmp_path: Path, trained: list[tuple[str, int]]) -> None:
    path = recipe(toy_root, tmp_path)
    path.write_text(path.read_text().replace("'LearningCurveHook'", "'SampleArchHook'"))
    command = ['landmarks', str(path), '--work-dir', str(tmp_path), '--input-hw', '32', '64']
    assert evidence.main([*command, '--latency-range', '3', '9']) == 2
