"""Search algorithms on what landmarks predict."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hyctas_mm.studies import optimisers
from hyctas_mm.studies.optimisers import Predicted
from tests.landmark_tables import archs, quality, table
from tools import evidence


def test_scores_and_latencies_are_predicted() -> None:
    found = table(90, noise=0.1, known=True)
    for entry, arch in zip(found['networks'], archs(90), strict=True):
        entry['costs']['latency_ms'] = 2.0 + sum(placed.cell.width for placed in arch.cells) / 4
    predicted = Predicted(found)
    scores = [next(predicted.evaluate([type('Job', (), dict(arch=a))])).metrics['mIoU'] for a in archs(150)[90:]]
    assert np.corrcoef(scores, [quality(a) for a in archs(150)[90:]])[0, 1] > 0.8
    latencies = [predicted.prices(a)['latency_ms'] for a in archs(150)[90:]]
    true = [2.0 + sum(p.cell.width for p in a.cells) / 4 for a in archs(150)[90:]]
    assert np.corrcoef(latencies, true)[0, 1] > 0.9 and min(latencies) > 0


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimisers, 'SURROGATE', dict(optimisers.SURROGATE, pool=40, rounds=2))
    path = tmp_path / 'landmarks.json'
    path.write_text(json.dumps(table(45, noise=0.1, known=True)))
    command = ['optimisers', str(path), '--seeds', '0', '1', '--population', '4']
    assert not evidence.main([*command, '--budget', '24', '--mutation-probs', '0.1'])
    result = json.loads((tmp_path / 'optimisers.json').read_text())
    methods = result['methods']
    assert list(methods) == ['NSGA-II, mutation 0.1', 'random search', 'regularised evolution', 'surrogate']
    assert all(len(method['curves']) == 2 and len(method['mean']) == 24 for method in methods.values())
    first = [method['mean'][3] for method in methods.values()]
    assert first == pytest.approx([first[0]] * 4), 'all begin with the same networks'
    assert methods['surrogate']['mean'][-1] > methods['random search']['mean'][-1]
    assert (tmp_path / 'optimisers.png').is_file() and 'regularised evolution' in capsys.readouterr().out
    assert evidence.main([*command, '--budget', '8']) == 2
