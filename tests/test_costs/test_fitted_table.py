"""Tables of targets: fitted to whole networks, checked on others, refused where they are not good."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hyctas_mm.costs import FittedTable, Sample, Target, choose
from hyctas_mm.costs.part_work import work_of
from hyctas_mm.costs.parts import collect_parts
from hyctas_mm.costs.targets.on_device import (
    clock_for,
    measure,
    quietest,
    round_spread,
    settled,
    warnings_about,
)

SHAPE = (1, 3, 16, 16)
TARGET = Target('openvino', 'int8')


def network(widths: tuple[int, ...]) -> nn.Module:
    layers: list[nn.Module] = []
    for before, after in zip((3, *widths), widths, strict=False):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
    with torch.device('meta'):
        return nn.Sequential(*layers, nn.Conv2d(widths[-1], 2, 1)).eval()


def measured(table: FittedTable, noise: float = 0.0, count: int = 40) -> list[Sample]:
    """Networks of which a convolution costs by its multiply-accumulates, and a network a millisecond."""
    rng = np.random.default_rng(0)
    samples = []
    for number in range(count):
        net = network(tuple(rng.integers(4, 64, size=rng.integers(2, 6)).tolist()))
        parts = collect_parts(net, SHAPE)
        for part in parts:
            table.learn(part)
        keys = tuple(part.key for part in parts)
        work = table.row(keys)
        ms = (1 + 300 * work['conv3'] + 0.01 * work['a ReLU']) * float(np.exp(noise * rng.standard_normal()))
        samples.append(Sample(str(number), keys, (ms, ms * 1.01), left_out=number % 4 == 0))
    return samples


def test_what_a_part_does() -> None:
    with torch.device('meta'):
        net = nn.Sequential(nn.Conv2d(3, 20, 3, padding=1), nn.Conv2d(20, 20, 3, padding=1, groups=20)).eval()
    first, second = (work_of(part) for part in collect_parts(net, SHAPE))
    assert first['conv3'] == pytest.approx(256 * 20 * 27 / 1e9)
    assert first['conv3_blocks'] == pytest.approx(256 * 32 * 16 * 9 / 1e9)
    assert first['moved'] == 256 * 20 / 1e6 and first['a Conv2d'] == 1
    assert second['grouped'] == pytest.approx(256 * 20 * 9 / 1e9) and 'conv3' not in second


def test_a_table_predicts_networks_that_it_was_not_fitted_to(tmp_path: Path) -> None:
    table = FittedTable(tmp_path / 't.json', TARGET, SHAPE)
    check = table.fit(measured(table), dict(device='a phone'))
    assert (check.networks, check.left_out) == (30, 10)
    assert check.median_error < 0.01 and check.spearman > 0.99
    assert min(table.weights.values()) > 0
    table.require(0.1)
    new = network((33, 17))
    keys = [part.key for part in collect_parts(new, SHAPE)]
    assert table.look_up(keys) is None, 'parts that were not seen'
    work = FittedTable(tmp_path / 'other.json', TARGET, SHAPE)
    for part in collect_parts(new, SHAPE):
        work.learn(part)
    assert table.predict(new) == pytest.approx(1.005 * (1 + 300 * work.row(keys)['conv3'] + 0.02), rel=0.03)
    assert table.look_up(keys) == table.predict(new)


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    table = FittedTable(tmp_path / 't.json', TARGET, SHAPE)
    samples = measured(table)
    table.fit(samples, dict(device='a phone'))
    table.save()
    again = FittedTable(tmp_path / 't.json', TARGET, SHAPE)
    assert again.check == table.check and again.samples == samples and again.measured_on == dict(device='a phone')
    assert [again.look_up(s.parts) for s in samples] == [table.look_up(s.parts) for s in samples]


def test_a_table_that_is_not_good_enough_is_refused(tmp_path: Path) -> None:
    table = FittedTable(tmp_path / 't.json', TARGET, SHAPE)
    with pytest.raises(ValueError, match='is not fitted yet'):
        table.predict(network((4, 4)))
    check = table.fit(measured(table, noise=0.6), {})
    assert check.median_error > 0.2
    with pytest.raises(ValueError, match=r'not good enough to search by: .* Spearman .* of 10.0% at most'):
        table.require(0.1)
    table.require(check.median_error)
    with pytest.raises(ValueError, match='6 networks to fit a latency table to and 2 to check it on'):
        table.fit(measured(table, count=8), {})


@pytest.mark.parametrize(
    ('target', 'shape', 'expected'),
    [
        (Target('openvino'), SHAPE, "'precision': 'int8'.* there, .*'precision': 'fp32'.* here"),
        (Target('openvino', 'int8', 2), SHAPE, "'threads': 1} at .* there, .*'threads': 2} at"),
        (TARGET, (1, 3, 8, 8), r'at \[1, 3, 16, 16\] there, .* at \[1, 3, 8, 8\] here'),
    ],
)
def test_tables_of_other_targets_are_refused(
    tmp_path: Path, target: Target, shape: tuple[int, ...], expected: str
) -> None:
    FittedTable(tmp_path / 't.json', TARGET, SHAPE).save()
    with pytest.raises(ValueError, match=expected):
        FittedTable(tmp_path / 't.json', target, shape)


def test_a_table_of_other_networks_is_refused(tmp_path: Path) -> None:
    FittedTable(tmp_path / 't.json', TARGET, SHAPE, dict(base_channels=8)).save()
    assert FittedTable(tmp_path / 't.json', TARGET, SHAPE).made_for == dict(base_channels=8)
    with pytest.raises(ValueError, match='of other networks: base_channels is 8 there, 16 here'):
        FittedTable(tmp_path / 't.json', TARGET, SHAPE, dict(base_channels=16))


def test_files_that_are_no_tables_are_refused(tmp_path: Path) -> None:
    path = tmp_path / 't.json'
    for text, expected in (('{', 'not a JSON file'), (json.dumps(dict(format='x')), 'not a latency table of a target')):
        path.write_text(text)
        with pytest.raises(ValueError, match=expected):
            FittedTable(path, TARGET, SHAPE)


def test_networks_are_chosen_to_cover_all_work() -> None:
    rows = [dict(a=1.0 + n / 100, b=1.0) for n in range(20)] + [dict(a=1.0, b=1.0, rare=1.0)]
    chosen = choose(rows, 5)
    assert 20 in chosen[:2] and len(set(chosen)) == 5
    assert sorted(choose(rows[:3], 9)) == [0, 1, 2]


# Measuring ------------------------------------------------------------------------------------------------------------


def test_networks_whose_rounds_differ_are_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    times = dict(calm=iter([1.0, 1.0]), busy=iter([3.0, 2.0, 2.01]))
    visits: list[str] = []

    def timed(call: object, clock: str, seconds: float) -> float:
        visits.append(str(call))
        return next(times[str(call)])

    monkeypatch.setattr('hyctas_mm.costs.targets.on_device.median_ms', timed)
    found: dict[str, list[float]] = {}
    opens = {name: (lambda name=name: name) for name in times}  # type: ignore[misc]
    told = [text for text in measure(opens, found, 'wall', rounds=2) if text]
    assert visits == ['calm', 'busy', 'calm', 'busy', 'busy'] and found['busy'] == [3.0, 2.0, 2.01]
    assert told == ['1 networks differ between rounds (the machine is busy): measured again']
    assert quietest(found['busy']) == pytest.approx(2.005) and settled(found['busy'])
    assert not warnings_about(dict(found, busy=[2.0, 2.01]))


def test_an_interrupted_measurement_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    visits: list[str] = []
    monkeypatch.setattr('hyctas_mm.costs.targets.on_device.median_ms', lambda call, *_: visits.append(call) or 1.0)
    opens = {name: (lambda name=name: name) for name in 'abc'}  # type: ignore[misc]
    found: dict[str, list[float]] = {}
    steps = measure(opens, found, 'wall', rounds=2)
    for _ in range(4):  # then the power goes
        next(steps)
    list(measure(opens, found, 'wall', rounds=2))
    assert visits == ['a', 'b', 'c', 'a', 'b', 'c'] and all(times == [1.0, 1.0] for times in found.values())


def test_a_device_that_throttles_is_told() -> None:
    found = {name: [ms, 1.4 * ms, 1.5 * ms] for name, ms in dict(a=1.0, b=2.0, c=5.0).items()}
    assert round_spread(found) == pytest.approx(0.5)
    loose, throttles = warnings_about(found)
    assert '3 of 3 networks never gave the same time twice within 5%: a, b, c' in loose
    assert 'whole rounds differ by 50%: the device throttles' in throttles


def test_processor_time_is_for_one_thread_on_the_cpu() -> None:
    assert (clock_for(1), clock_for(2), clock_for(1, 'cuda')) == ('cpu', 'wall', 'wall')
