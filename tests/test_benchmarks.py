"""Every benchmark runs, at a size that says nothing about speed."""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[1] / 'benchmarks'


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def run(monkeypatch: pytest.MonkeyPatch, name: str, *arguments: str) -> None:
    monkeypatch.setattr(sys, 'argv', [name, *arguments])
    runpy.run_path(str(BENCHMARKS / f'{name}.py'), run_name='__main__')


@pytest.mark.parametrize('name', sorted(p.stem for p in BENCHMARKS.glob('*.py')))
def test_help(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, name, '--help')
    assert caught.value.code == 0 and 'usage' in capsys.readouterr().out


def test_inference(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    out = tmp_path / 'inference.json'
    run(monkeypatch, 'inference', 'hyctas-s', '--shape', '64', '96', '--seconds', '0.01', '--rounds', '1', '--json', str(out))
    rows = json.loads(out.read_text())['networks']
    assert [row['variant'] for row in rows] == ['as trained', 'without auxiliary heads', 'batch norm fused', 'channels-last']
    assert rows[1]['difference'] == 0 and all(row['difference'] < 1e-4 for row in rows)


def test_growth(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ['--layers', '4', '5', '--branches', '1', '--sizes', '64x64', '--workers', '--archs', '1', '--population', '2', '--rounds', '1']
    run(monkeypatch, 'growth', *sizes, '--out', str(tmp_path))
    rows = json.loads((tmp_path / 'growth.json').read_text())['rows']
    assert [(row['axis'], row['x']) for row in rows] == [('layers', 4), ('layers', 5), ('branches', 1), ('megapixels', 64 * 64 / 1e6)]
    assert all(row[kind] > 0 for row in rows for kind in ('training', 'scoring', 'search'))
    assert (tmp_path / 'growth.png').stat().st_size > 10_000 and 'exponent' in capsys.readouterr().out


def test_prices(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    out = tmp_path / 'prices.json'
    run(monkeypatch, 'prices', '--prices', '6', '--built', '1', '--shape', '64', '64', '--json', str(out))
    rows = json.loads(out.read_text())['spaces']
    assert len(rows) == 2 and all(row['blocks'] > 20 and row['built'] > row['once_more'] for row in rows.values())


def test_peers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    out = tmp_path / 'peers.json'
    networks = ['--networks', 'hyctas-s', '--peers', 'fast-scnn', '--backends', 'eager', 'channels_last', 'cudagraph']
    run(monkeypatch, 'peers', *networks, '--shape', '64', '96', '--seconds', '0.01', '--rounds', '1', '--device', 'cpu', '--json', str(out))
    found = json.loads(out.read_text())
    assert [row['network'] for row in found['networks']] == ['hyctas-s (12, none)', 'fast-scnn']
    assert all(row[backend]['latency_ms'] > 0 for row in found['networks'] for backend in ('eager', 'channels_last'))
    assert len(found['problems']) == 2 and all('records the kernels of a GPU' in problem for problem in found['problems'])
