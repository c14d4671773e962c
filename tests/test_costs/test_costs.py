from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from hyctas_mm.archs import SearchSpace, load_arch
from hyctas_mm.costs import LatencyTable, count_macs, count_params, measure_latency
from hyctas_mm.costs.parts import collect_parts
from hyctas_mm.engine.candidate_costs import CandidateCosts, shipped_network
from hyctas_mm.models.ops import build_op
from tests.conftest import supernet_cfg

CPU = torch.device('cpu')


def test_macs_of_a_convolution_and_of_attention() -> None:
    conv = count_macs(nn.Conv2d(3, 8, 3, padding=1, stride=2), (2, 3, 16, 32))
    assert (conv.convs, conv.attention) == (2 * 8 * 16 * 8 * 27, 0)
    with torch.device('meta'):
        attention = build_op('attention', 16, 16, False, dict(type='BN'))
    macs = count_macs(attention, (1, 16, 8, 4))
    n, c = 32, 16
    assert macs.attention == n * n * (c // 8 + c)
    assert macs.convs == n * (c * c + 2 * c * (c // 8) + c * c + c * c)
    assert macs.total_g == (macs.convs + macs.attention) / 1e9


def test_attention_is_counted_on_a_real_device_too() -> None:
    op = build_op('attention', 16, 16, False, dict(type='BN'))
    assert count_macs(op, (1, 16, 8, 4)).attention > 0


def test_parts_cover_the_network() -> None:
    model = shipped_network(supernet_cfg(), load_arch('hyctas-s'))
    parts = collect_parts(model, (1, 3, 64, 128))
    assert sum(count_params(p.module) for p in parts) == count_params(model)
    assert len(model.decode_head.aux) == 0
    ops = [p for p in parts if p.module in list(model.backbone.cells.children())]
    assert len(ops) == len(load_arch('hyctas-s').cells)


def test_latency_is_sensible() -> None:
    small, large = (measure_latency(lambda n=n: torch.zeros(n).exp().sum(), CPU, 0.05, 0.01) for n in (1000, 1_000_000))
    assert 0 < small.p10_ms <= small.median_ms <= small.p90_ms and small.runs >= 5
    assert large.median_ms > small.median_ms and small.fps == pytest.approx(1e3 / small.median_ms)


def test_table_measures_each_part_once_and_keeps_it(tmp_path: Path, wide_space: SearchSpace, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    measured: list[str] = []
    monkeypatch.setattr(LatencyTable, '_measure', lambda self, part: measured.append(part.key) or 1.0)
    path = tmp_path / 'table.json'
    costs = CandidateCosts(supernet_cfg(), (1, 3, 32, 64), LatencyTable(path, CPU, (1, 3, 32, 64)))
    archs = [wide_space.sample(np.random.default_rng(i)) for i in range(5)]
    first = [costs(a) for a in archs]
    assert len(set(measured)) == len(measured) > 10
    again = CandidateCosts(supernet_cfg(), (1, 3, 32, 64), LatencyTable(path, CPU, (1, 3, 32, 64)))
    assert [again(a) for a in archs] == first and len(set(measured)) == len(measured)
    assert all(set(c) == {'params_m', 'macs_g', 'latency_ms'} for c in first)


def test_a_real_table_orders_networks(tmp_path: Path) -> None:
    table = LatencyTable(tmp_path / 't.json', CPU, (1, 3, 128, 256), seconds=0.02)
    costs = CandidateCosts(supernet_cfg(), (1, 3, 128, 256), table)
    small, large = costs(load_arch('hyctas-s')), costs(load_arch('hyctas-l'))
    assert 0 < small['latency_ms'] < large['latency_ms']


@pytest.mark.parametrize(
    ('change', 'expected'),
    [
        (lambda t: t['conditions'].update(device='abacus'), "device: 'abacus' there"),
        (lambda t: t['conditions'].update(input_shape=[1, 3, 9, 9]), 'input_shape'),
        (lambda t: t.update(format='x'), 'not a latency table'),
    ],
)
def test_tables_of_other_conditions_are_refused(tmp_path: Path, change, expected: str) -> None:
    path = tmp_path / 't.json'
    LatencyTable(path, CPU, (1, 3, 32, 32)).save()
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=expected):
        LatencyTable(path, CPU, (1, 3, 32, 32))
    path.write_text('{')
    with pytest.raises(ValueError, match='not a JSON file'):
        LatencyTable(path, CPU, (1, 3, 32, 32))
