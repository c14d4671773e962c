"""Search spaces compared by random networks of theirs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config

from hyctas_mm.archs import Architecture, SearchSpace
from hyctas_mm.evaluators import trained_networks
from hyctas_mm.studies import random_networks
from hyctas_mm.studies.spaces import Contest
from tests.tiny_jobs import config
from tools import evidence

SPACES = dict(small=dict(layers=4), nodes=dict(layers=4, nodes=True))


def contest(cfg: Config, folder: Path) -> Contest:
    latencies = {4.0: 2, 9.0: 4}
    return Contest(cfg, SPACES, (32, 64), latencies, 3, [0], 'mIoU', folder, torch.device('cpu'))


@pytest.fixture
def costs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Archids in the order in which they are measured; the latency is made up of sizes."""
    measured: list[str] = []

    def measure(self: Any, arch: Architecture) -> float:
        measured.append(arch.archid)
        return 100 * self.sizes(arch)['macs_g'] ** 0.5

    monkeypatch.setattr(random_networks.RandomNetworks, '_measure', measure)
    return measured


def test_networks_are_of_the_latency_and_kept(toy_root: Path, tmp_path: Path, costs: list[str]) -> None:
    cfg = config('subnet', toy_root, tmp_path / 'unused')
    kept = contest(cfg, tmp_path).draw()
    drawn = list(kept.values())
    assert [(e['target_ms'], e['space']) for e in drawn[:4]] == [
        (ms, name) for ms in (4.0, 9.0) for name in ('small', 'nodes')
    ]
    assert len({e['archid'] for e in drawn}) == len(drawn) == 12
    for entry in drawn:
        assert abs(entry['costs']['latency_ms'] / entry['target_ms'] - 1) <= 0.05
        space = SearchSpace.from_dict(dict(SPACES[entry['space']], base_channels=entry['base_channels']))
        assert space.violations(entry['arch']) == [] and entry['base_channels'] == {4.0: 2, 9.0: 4}[entry['target_ms']]
    assert len(costs) < 10 * len(drawn)  # few are measured in vain
    costs.clear()
    assert contest(cfg, tmp_path).draw() == kept and not costs


def test_spaces_are_compared_at_each_latency_and_over_all(toy_root: Path, tmp_path: Path) -> None:
    made = contest(config('subnet', toy_root, tmp_path / 'unused'), tmp_path)
    rng = np.random.default_rng(0)
    drawn = [
        dict(space=name, target_ms=ms, scores={0: ms + 2 * (name == 'nodes') + 0.1 * rng.standard_normal()})
        for name in SPACES
        for ms in (4.0, 9.0)
        for _ in range(8)
    ]
    rows = made.result([*drawn, dict(space='small', target_ms=4.0, scores={})])['rows']
    assert [(r['target_ms'], r['space'], r['networks']) for r in rows] == [
        *((4.0, 'small', 8), (4.0, 'nodes', 8), (9.0, 'small', 8), (9.0, 'nodes', 8)),
        *((None, 'small', 16), (None, 'nodes', 16)),
    ]
    for row in rows[1::2]:
        low, high = row['interval']
        assert row['gain'] == pytest.approx(2, abs=0.15) and low < row['gain'] < high < 2.4 and low > 1.6
    assert 'gain' not in rows[0] and rows[0]['best'] == max(e['scores'][0] for e in drawn[:8])


def test_the_command_trains_in_shards_and_tells_what_is_finished(
    toy_root: Path, tmp_path: Path, costs: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def retrain(folder: Path, seed: int, num_pictures: int) -> dict[str, float]:
        scores = {'mIoU': 30.0 + len(json.loads((folder / 'arch.json').read_text())['branches'])}
        (folder / 'results.json').write_text(json.dumps(dict(by_seed={str(seed): scores})))
        return scores

    monkeypatch.setattr(trained_networks, 'retrain', retrain)
    cfg = config('subnet', toy_root, tmp_path / 'unused')
    cfg.spaces = SPACES
    cfg.dump(str(tmp_path / 'spaces.py'))
    command = ['spaces', str(tmp_path / 'spaces.py'), '--work-dir', str(tmp_path / 'run'), '--input-hw', '32', '64']
    command += ['--latencies', '4=2', '9=4', '--per-latency', '2']
    for shard in ('0', '1'):
        assert not evidence.main([*command, '--shard', shard, '2'])
        result = json.loads((tmp_path / 'run' / 'spaces.json').read_text())
        assert result['finished'] == 4 + 4 * int(shard)
    networks = json.loads((tmp_path / 'run' / 'networks.json').read_text())
    assert all(Architecture.from_dict(entry['arch']).archid == entry['archid'] for entry in networks.values())
    first = next(iter(networks.values()))
    assert 'spaces' not in (tmp_path / 'run/subnets' / first['archid'] / 'config.py').read_text()
    assert 'more than the space above' in capsys.readouterr().out
    assert evidence.main([*command, '--latencies', 'fast=2']) == 2
    assert "'fast': expected milliseconds" in capsys.readouterr().err
    config('subnet', toy_root, tmp_path).dump(str(tmp_path / 'none.py'))
    assert evidence.main([command[0], str(tmp_path / 'none.py'), *command[2:]]) == 2
    assert 'none.py: no spaces=dict(...)' in capsys.readouterr().err
    (tmp_path / 'other').mkdir()  # another machine, with what is known
    (tmp_path / 'other' / 'networks.json').write_text(json.dumps(networks))
    monkeypatch.setattr(trained_networks, 'retrain', lambda *_, **__: pytest.fail('trained again'))
    command[command.index('--work-dir') + 1] = str(tmp_path / 'other')
    assert not evidence.main(command)
    assert json.loads((tmp_path / 'other' / 'spaces.json').read_text()) == result
