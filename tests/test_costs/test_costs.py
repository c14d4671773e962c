from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hyctas_mm.archs import SearchSpace, load_arch
from hyctas_mm.costs import Latency, LatencyTable, count_macs, count_params, latency_table
from hyctas_mm.costs.latency import Stopwatch
from hyctas_mm.costs.latency_table import materialise
from hyctas_mm.costs.parts import collect_parts, time_parts
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


@pytest.mark.slow
def test_table_measures_each_part_once_and_keeps_it(
    tmp_path: Path, wide_space: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []
    monkeypatch.setattr(
        LatencyTable, '_measure', lambda self, model, parts, new: runs.append(new) or {p.key: 1.0 for p in parts}
    )
    path = tmp_path / 'table.json'
    costs = CandidateCosts(supernet_cfg(), (1, 3, 32, 64), LatencyTable(path, CPU, (1, 3, 32, 64)))
    archs = [wide_space.sample(np.random.default_rng(i)) for i in range(5)]
    first = [costs(a) for a in archs]
    assert costs.table and sum(runs) == len(costs.table.parts) > 10
    again = CandidateCosts(supernet_cfg(), (1, 3, 32, 64), LatencyTable(path, CPU, (1, 3, 32, 64)))
    assert [again(a) for a in archs] == first and sum(runs) == len(costs.table.parts)
    assert all(set(c) == {'params_m', 'macs_g', 'latency_ms'} for c in first)


def test_a_prediction_is_the_parts_and_a_constant_between_them(tmp_path: Path, wide_space: SearchSpace) -> None:
    shape = (1, 3, 32, 64)
    table = LatencyTable(tmp_path / 't.json', CPU, shape)
    model = shipped_network(supernet_cfg(), wide_space.sample(np.random.default_rng(0)))
    parts = collect_parts(model, shape)
    table.parts = {part.key: 2.0 for part in parts}
    assert table.predict(model) == pytest.approx(2 * len(parts))
    table.overhead_ms = 0.25
    assert table.predict(model) == pytest.approx(2.25 * len(parts))


def test_a_table_is_filled_until_new_parts_are_rare(
    tmp_path: Path, wide_space: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count(9, -1)  # each measurement is quieter than the last
    monkeypatch.setattr(
        LatencyTable,
        '_measure',
        lambda self, model, parts, new: dict.fromkeys((p.key for p in parts), float(next(clock))),
    )
    table = LatencyTable(tmp_path / 't.json', CPU, (1, 3, 32, 64))
    model = shipped_network(supernet_cfg(), wide_space.sample(np.random.default_rng(0)))
    steps = list(table.fill(itertools.repeat(model), rounds=2, window=3))
    assert [new for _, new in steps] == [len(table.parts), 0, 0, 0]
    assert set(table.parts.values()) == {8.0}
    assert LatencyTable(table.path, CPU, (1, 3, 32, 64)).parts == table.parts


def test_a_part_of_several_networks_is_their_median(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nets = [nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, size, 3)) for size in (1, 2, 3)]
    rounds = iter([1.0, 5.0, 9.0, 2.0, 4.0, 9.0])  # quietest of the three networks: 1, 4, 9
    monkeypatch.setattr(
        LatencyTable, '_measure', lambda self, model, parts, new: dict.fromkeys((p.key for p in parts), next(rounds))
    )
    table = LatencyTable(tmp_path / 't.json', CPU, (1, 3, 16, 16))
    assert list(table.fill(nets, rounds=2)) == [(2, 2), (2, 1), (2, 1)]
    assert sorted(table.parts.values()) == [1.0, 4.0, 4.0, 9.0]
    assert table.parts[collect_parts(nets[0], (1, 3, 16, 16))[0].key] == 4.0


def test_what_lies_between_the_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wholes = itertools.cycle([Latency(ms, ms, ms, 5) for ms in (3.5, 3.5, 9.0)])  # the machine was disturbed once
    monkeypatch.setattr(latency_table, 'time_parts', lambda *_: [1.0, 2.0])
    monkeypatch.setattr(latency_table, 'measure_latency', lambda *_: next(wholes))
    table = LatencyTable(tmp_path / 't.json', CPU, (1, 3, 32, 64))
    table.fit_overhead([nn.Conv2d(3, 4, 3)])
    assert table.overhead_ms == 0.25 == LatencyTable(table.path, CPU, (1, 3, 32, 64)).overhead_ms


def test_parts_are_timed_in_their_places() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.ReLU(), nn.Conv2d(4, 2, 1))).eval()
    x = torch.rand(1, 3, 16, 16)
    times = time_parts(net, x, Stopwatch(CPU), seconds=0.0)
    assert len(times) == len(collect_parts(net, x.shape)) == 3 and all(t > 0 for t in times)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_a_real_table_orders_networks(tmp_path: Path) -> None:
    table = LatencyTable(tmp_path / 't.json', CPU, (1, 3, 128, 256), seconds=0.005)
    costs = CandidateCosts(supernet_cfg(), (1, 3, 128, 256), table)
    small, large = costs(load_arch('hyctas-s')), costs(load_arch('hyctas-l'))
    assert 0 < small['latency_ms'] < large['latency_ms']


def test_random_weights_keep_maps_finite() -> None:
    with torch.device('meta'):
        net = nn.Sequential(*(nn.Conv2d(64, 64, 3, padding=1) for _ in range(30)))
    assert materialise(net, CPU)(torch.rand(1, 64, 8, 8)).isfinite().all()


def test_a_table_keeps_its_clock(tmp_path: Path) -> None:
    """A new one counts processor time where one thread computes."""
    threads = torch.get_num_threads()
    new, old = tmp_path / 'new.json', tmp_path / 'old.json'
    LatencyTable(old, CPU, (1, 3, 32, 32), clock='wall').save()
    try:
        for count, clock in ((1, 'cpu'), (2, 'wall')):
            torch.set_num_threads(count)
            assert LatencyTable(new, CPU, (1, 3, 32, 32)).clock == clock
    finally:
        torch.set_num_threads(threads)
    assert LatencyTable(old, CPU, (1, 3, 32, 32)).clock == 'wall'
    with pytest.raises(ValueError, match="clock: 'wall' there, 'cpu' here"):
        LatencyTable(old, CPU, (1, 3, 32, 32), clock='cpu')


@pytest.mark.parametrize(
    ('change', 'expected'),
    [
        (lambda t: t['conditions'].update(device='abacus'), "device: 'abacus' there"),
        (lambda t: t['conditions'].update(input_shape=[1, 3, 9, 9]), 'input_shape'),
        (lambda t: t['conditions'].update(threads=99), 'threads: 99 there'),
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
