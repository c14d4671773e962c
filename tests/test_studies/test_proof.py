"""What searches chose against landmarks of like latency."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hyctas_mm.evaluators import trained_networks
from hyctas_mm.search.hypervolume import Frame
from hyctas_mm.studies import proof
from hyctas_mm.studies.finished_search import FinishedSearch
from tests.landmark_tables import table
from tests.tiny_jobs import config
from tools import evidence


def drawn(count: int, better: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Log latencies and scores that are bent over them."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(np.log(4), np.log(40), count)
    return x, 30 + 4 * x - 0.5 * x**2 + better + rng.standard_normal(count)


@pytest.mark.parametrize('better', [0.0, 1.0])
def test_a_gain_is_found_and_none_is_made_up(better: float) -> None:
    """In 40 draws of landmarks and choices: unbiased, its error is what it says, and the interval holds the truth."""
    found = [proof.summarise(*drawn(48, 0.0, n), *drawn(12, better, 1000 + n)) for n in range(40)]
    gains = np.array([f['gain'] for f in found])
    assert abs(gains.mean() - better) < 4 * gains.std() / 40**0.5
    assert 0.75 < np.mean([f['se'] for f in found]) / gains.std() < 1.3
    assert np.mean([f['interval'][0] <= better <= f['interval'][1] for f in found]) > 0.85
    assert (np.mean([f['p'] < 0.05 for f in found]) > 0.3) == (better > 0)
    assert all(f['count'] == 12 and 0 <= f['above'] <= 12 for f in found)


def test_the_command(
    fast_search: Path, toy_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    landmarks = table(4, seeds=2) | dict(input_hw=[32, 64])
    (tmp_path / 'landmarks.json').write_text(json.dumps(landmarks))
    config('subnet', toy_root, tmp_path / 'unused').dump(str(tmp_path / 'recipe.py'))
    trained: list[tuple[str, int]] = []

    def retrain(folder: Path, seed: int, num_pictures: int) -> dict[str, float]:
        trained.append((folder.name, seed))
        return dict(mIoU=50.0 + seed)

    monkeypatch.setattr(trained_networks, 'retrain', retrain)
    monkeypatch.setattr(proof, 'SECONDS', 0.001)
    command = ['proof', str(tmp_path / 'landmarks.json'), str(fast_search), '--recipe', str(tmp_path / 'recipe.py')]
    command += ['--seeds', '0', '1', '--work-dir', str(tmp_path / 'run')]
    assert evidence.main(command) == 0
    chosen = FinishedSearch(fast_search).result.chosen
    assert trained == [(archid, seed) for seed in (0, 1) for archid in chosen]
    result = json.loads((tmp_path / 'run' / 'proof.json').read_text())
    assert [row['archid'] for row in result['networks']] == list(chosen)
    assert all(row['score'] == 50.5 and row['scores'] == {'0': 50, '1': 51} for row in result['networks'])
    latencies = json.loads((tmp_path / 'run' / 'latencies.json').read_text())
    assert set(latencies) == {n['archid'] for n in landmarks['networks']} | set(chosen)
    assert result['gain'] == pytest.approx(np.mean([row['gain'] for row in result['networks']]))
    assert f'{result["gain"]:+.2f} ±' in capsys.readouterr().out
    ends = [[c['scores']['300']['val']['mIoU'] for c in n['curves'].values()] for n in landmarks['networks']]
    at = [[np.log(latencies[n['archid']]) for n in found] for found in (landmarks['networks'], result['networks'])]
    wanted = proof.summarise(np.array(at[0]), np.mean(ends, axis=1), np.array(at[1]), np.full(len(chosen), 50.5))
    assert result['gain'] == pytest.approx(wanted['gain'])
    assert list(result['volumes']) == [str(fast_search)] and 0 < result['volumes'][str(fast_search)] <= 1
    there = [np.log([latencies[row['archid']] for row in result['networks']]), -np.full(len(chosen), 50.5)]
    every = np.concatenate([np.stack([at[0], -np.mean(ends, axis=1)], 1), np.stack(there, 1)])
    share = Frame.around(every).volumes(every[len(ends) :])[-1]
    assert result['volumes'][str(fast_search)] == pytest.approx(share)
    assert evidence.main([*command, '--target', 'onnxruntime']) == 0
    shipped = json.loads((tmp_path / 'run' / 'proof_onnxruntime.json').read_text())
    assert shipped['target']['runtime'] == 'onnxruntime' and shipped['networks'] != result['networks']
    monkeypatch.setattr(proof.on_device, 'measure', None)  # nothing is measured again
    assert evidence.main(command) == 0
    assert evidence.main([*command, '--seeds', '7']) == 2
    assert '0 landmarks have the seeds [7]' in capsys.readouterr().err
