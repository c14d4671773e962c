from __future__ import annotations

import itertools
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from hyctas_mm.costs import LatencyTable, TableCheck, check_table, measure_interleaved, measure_latency
from hyctas_mm.costs.latency import Latency, Stopwatch, warm_up

CPU = torch.device('cpu')


def small_net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()


def test_percentiles_of_times() -> None:
    found = Latency.of([float(n) for n in range(100, 0, -1)])
    assert (found.median_ms, found.p10_ms, found.p90_ms, found.runs) == (50.5, 11, 90, 100)
    assert Latency.of([3.0]) == Latency(3, 3, 3, 1)
    assert Latency(4, 4, 4, 1).fps == 250


def test_measurements_are_ordered_and_positive() -> None:
    found = measure_latency(lambda: torch.zeros(1000).exp().sum(), CPU, 0.02, 0.01)
    assert 0 < found.p10_ms <= found.median_ms <= found.p90_ms and found.runs >= 5


def test_rounds_visit_all_calls_in_turn() -> None:
    visits: list[str] = []
    times = measure_interleaved(
        [lambda: visits.append('a'), lambda: visits.append('b')], CPU, seconds=0.0, rounds=5, warmup_seconds=0.0
    )
    assert [len(t) for t in times] == [5, 5] and all(len(r) == 1 for t in times for r in t)
    assert [name for name, _ in itertools.groupby(visits)] == ['a', 'b'] * 6


def test_warm_up_ends_when_two_windows_agree_or_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[float] = []

    def timed(now: float) -> float:
        calls.append(now)
        return now

    falling = iter([9.0, 5.0, 2.0, 2.01, 7.0])
    hours = itertools.count()
    monkeypatch.setattr('hyctas_mm.costs.latency.time.perf_counter', lambda: float(next(hours)))
    warm_up(lambda: timed(next(falling)), 10.0)  # each look at the clock finds a window over
    assert calls == [9.0, 5.0, 2.0, 2.01]
    calls.clear()
    warm_up(lambda: timed(2.0 ** len(calls)), 0.0)
    assert calls == [1.0, 2.0]


def test_the_processor_clock_counts_what_a_runtime_does_in_a_thread_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> None:
        end = time.process_time() + 0.01
        while time.process_time() < end:
            pass

    def call() -> None:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    monkeypatch.setattr(torch, 'get_num_threads', lambda: 1)
    assert Stopwatch(CPU, 'cpu').time(call) >= 10


def test_the_processor_clock_is_for_one_thread() -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        watch = Stopwatch(CPU, 'cpu')
        assert watch.time(lambda: sum(range(10000))) > 0
        torch.set_num_threads(2)
        with pytest.raises(ValueError, match='2 threads on cpu'):
            Stopwatch(CPU, 'cpu')
    finally:
        torch.set_num_threads(threads)
    with pytest.raises(ValueError, match="clock 'sun'; expected one of wall, cpu"):
        Stopwatch(CPU, 'sun')


# Tables of a GPU ------------------------------------------------------------------------------------------------------


def gpu_table(path: Path) -> LatencyTable:
    return LatencyTable(path, torch.device('cuda', 0), (1, 3, 16, 16), seconds=0.001)


def test_a_table_of_a_gpu_is_for_any_number_of_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('hyctas_mm.costs.latency_table.device_name', lambda device: 'a GPU')
    path, threads = tmp_path / 'table.json', torch.get_num_threads()
    gpu_table(path).save()
    try:
        torch.set_num_threads(threads + 1)
        assert gpu_table(path).conditions['device'] == 'a GPU'
    finally:
        torch.set_num_threads(threads)
    monkeypatch.setattr(torch.backends.cudnn, 'benchmark', not torch.backends.cudnn.benchmark)
    gpu_table(path)  # measures with it, whatever the program does
    products = torch.backends.cuda.matmul
    try:
        products.allow_tf32 = True
        with pytest.raises(ValueError, match="tf32: .*'products': False} there, .*'products': True} here"):
            gpu_table(path)
    finally:
        products.allow_tf32 = False


def test_a_table_of_a_gpu_is_measured_with_the_fastest_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[bool] = []

    def timed(*_: Any) -> list[float]:
        searched.append(torch.backends.cudnn.benchmark)
        return [1.0]

    monkeypatch.setattr(torch.backends.cudnn, 'benchmark', False)
    monkeypatch.setattr('hyctas_mm.costs.latency_table.time_parts', timed)
    monkeypatch.setattr('hyctas_mm.costs.latency_table.materialise', lambda model, device: model)
    monkeypatch.setattr(torch, 'rand', lambda *_, **__: None)
    monkeypatch.setattr('hyctas_mm.costs.latency_table.device_name', lambda device: 'a device')
    with torch.device('meta'):
        net = nn.Sequential(nn.Conv2d(3, 4, 3)).eval()
    for device in (torch.device('cuda', 0), CPU):
        table = LatencyTable(tmp_path / f'{device.type}.json', device, (1, 3, 16, 16))
        assert table.predict(net) == 1.0
    assert searched == [True, False] and not torch.backends.cudnn.benchmark


# Checking a table -----------------------------------------------------------------------------------------------------


def test_what_a_check_says() -> None:
    check = TableCheck((1.1, 1.8, 3.0, 4.4), ((1.0, 1.1), (2.0, 2.2), (3.0, 3.3), (4.0, 4.4)))
    found = check.summary()
    assert found['median_error'] == pytest.approx(0.1) and found['worst_error'] == pytest.approx(0.1)
    assert found['mean_error'] == pytest.approx(0.025) and found['noise'] == pytest.approx(0.1 / 1.05)
    assert found['spearman'] == pytest.approx(1) and found['kendall'] == pytest.approx(1)
    assert found['drift'] == pytest.approx((1 + 1 / 1.1) / 2)
    swapped = TableCheck((1.0, 3.0, 2.0), ((1.0, 1.0), (2.0, 2.0), (3.0, 3.0))).summary()
    assert (
        swapped['spearman'] == pytest.approx(0.5)
        and swapped['kendall'] == pytest.approx(1 / 3)
        and swapped['noise'] == 0
    )


def test_a_machine_that_became_faster_is_drift() -> None:
    found = TableCheck((1.0, 2.0, 3.0), ((0.5, 0.6), (1.0, 1.2), (1.5, 1.8))).summary()
    assert (
        found['median_error'] == pytest.approx(1) and found['drift'] == 0.5 and found['median_error_beyond_drift'] == 0
    )


def test_a_check_measures_whole_networks(tmp_path: Path) -> None:
    with torch.device('meta'):
        nets = [nn.Sequential(nn.Conv2d(3, size, 3)).eval() for size in (4, 8, 16)]
    table = LatencyTable(tmp_path / 't.json', CPU, (1, 3, 16, 16), seconds=0.001)
    check = check_table(table, nets, seconds=0.01, rounds=2)
    assert len(check.predicted_ms) == 3 and all(len(r) == 2 and min(r) > 0 for r in check.rounds_ms)
    assert all(p > 0 for p in check.predicted_ms) and len(table.parts) == 3
    with pytest.raises(ValueError, match='2 networks in 2 rounds'):
        check_table(table, nets[:2], rounds=2)
