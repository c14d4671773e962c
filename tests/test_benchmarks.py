"""Every benchmark runs, at a size that says nothing about speed."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
from pathlib import Path
from typing import Any, TextIO

import pytest
import torch

from tests.conftest import ROOT, run_script
from tests.test_engine.test_search_workers import free_port
from tests.test_wizard.test_data import coco_panoptic
from tests.tiny_jobs import FAST, config

pytestmark = pytest.mark.slow


def run(monkeypatch: pytest.MonkeyPatch, name: str, *arguments: object) -> None:
    assert run_script(monkeypatch, f'benchmarks/{name}.py', *arguments) == 0


@pytest.mark.parametrize('name', sorted(p.stem for p in (ROOT / 'benchmarks').glob('*.py')))
def test_help(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run(monkeypatch, name, '--help')
    assert 'usage' in capsys.readouterr().out


def test_inference(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    out = tmp_path / 'inference.json'
    run(
        monkeypatch,
        'inference',
        'hyctas-s',
        '--shape',
        '64',
        '96',
        '--seconds',
        '0.01',
        '--rounds',
        '1',
        '--json',
        str(out),
    )
    rows = json.loads(out.read_text())['networks']
    assert [row['variant'] for row in rows] == [
        'as trained',
        'without auxiliary heads',
        'batch norm fused',
        'channels-last',
    ]
    assert rows[1]['difference'] == 0 and all(row['difference'] < 1e-4 for row in rows)


def test_growth(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = [
        '--layers',
        '4',
        '5',
        '--branches',
        '1',
        '--sizes',
        '64x64',
        '--workers',
        '--archs',
        '1',
        '--population',
        '2',
        '--rounds',
        '1',
    ]
    run(monkeypatch, 'growth', *sizes, '--out', str(tmp_path))
    rows = json.loads((tmp_path / 'growth.json').read_text())['rows']
    assert [(row['axis'], row['x']) for row in rows] == [
        ('layers', 4),
        ('layers', 5),
        ('branches', 1),
        ('megapixels', 64 * 64 / 1e6),
    ]
    assert all(row[kind] > 0 for row in rows for kind in ('training', 'scoring', 'search'))
    assert (tmp_path / 'growth.png').stat().st_size > 10_000 and 'exponent' in capsys.readouterr().out


def test_prices(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    out = tmp_path / 'prices.json'
    run(monkeypatch, 'prices', '--prices', '6', '--built', '1', '--shape', '64', '64', '--json', str(out))
    rows = json.loads(out.read_text())['spaces']
    assert len(rows) == 2 and all(row['blocks'] > 20 and row['built'] > row['once_more'] for row in rows.values())


def test_peers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    out = tmp_path / 'peers.json'
    networks = ['--networks', 'hyctas-s', '--peers', 'fast-scnn', 'mobilenetv3-lraspp', '--shape', 60, 96]
    how = ['--targets', 'eager', 'channels_last', 'cudagraph', '--seconds', 0.01, '--rounds', 1, '--device', 'cpu']
    picture = tmp_path / 'peers.svg'
    run(monkeypatch, 'peers', *networks, *how, '--json', out, '--picture', picture)
    found = json.loads(out.read_text())
    assert [row['network'] for row in found['networks']] == ['hyctas-s (12, none)', 'fast-scnn']
    drawn = picture.read_text()
    assert '<!-- channels_last -->' in drawn and '<!-- fast-scnn -->' in drawn and 'cudagraph' not in drawn
    assert all(row[target]['latency_ms'] > 0 for row in found['networks'] for target in ('eager', 'channels_last'))
    too_small, *recorded = found['problems']
    assert too_small.startswith('mobilenetv3-lraspp at (60, 96): ')
    assert len(recorded) == 2 and all('records the kernels of a GPU' in problem for problem in recorded)


def rows_of(table: str) -> list[list[str]]:
    """The cells of what rich printed."""
    return [[cell.strip() for cell in line.split('│')[1:-1]] for line in table.splitlines() if line.startswith('│')]


def test_attention(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Of 2048 positions the naive form makes a matrix of 17 MB."""
    run(
        monkeypatch,
        'attention',
        '--sizes',
        '600x8',
        '--memory',
        '2048x8',
        '--batch',
        1,
        '--rounds',
        1,
        '--threads',
        1,
        '--device',
        'cpu',
    )
    (positions, channels, *times, difference), *memory = rows_of(capsys.readouterr().out)
    assert (positions, channels) == ('600', '8') and all(float(cell) > 0 for cell in times) and float(difference) < 1e-5
    assert [row[2] for row in memory] == ['forward', 'with backward'] and all(
        float(ours) + 16 < float(naive) for *_, ours, naive in memory
    )


def test_scoring(
    monkeypatch: pytest.MonkeyPatch, toy_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config('search', toy_root, tmp_path).dump(str(tmp_path / 'search.py'))
    run(monkeypatch, 'scoring', tmp_path / 'search.py', '--candidates', 1, '--rounds', 1, '--threads', 1)
    printed = capsys.readouterr().out
    # calibrated on other crops each; test_scoring.py compares them on the same
    scores = re.search(r'mIoU ([\d.]+), ([\d.]+)', printed)
    assert scores and all(0 < float(score) < 100 for score in scores.groups()) and 'median ratio' in printed


def test_supernet_step(
    monkeypatch: pytest.MonkeyPatch, toy_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config('supernet', toy_root, tmp_path).dump(str(tmp_path / 'supernet.py'))
    run(
        monkeypatch,
        'supernet_step',
        tmp_path / 'supernet.py',
        '--archs',
        1,
        '--batch',
        2,
        '--rounds',
        1,
        '--threads',
        1,
        '--device',
        'cpu',
    )
    rows = rows_of(capsys.readouterr().out)
    assert [row[0] for row in rows] == ['smallest', 'largest', 'random 0'] and all(
        float(cell) > 0 for row in rows for cell in row[1:5]
    )


def test_panoptic(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    small = ['--arch', 'hyctas-s', '--base-channels', 2, '--shape', 128, 256, '--instances', 6, '--rounds', 1]
    run(monkeypatch, 'panoptic', *small, '--device', 'cpu')
    assert '128x256, 6 instances, cpu' in capsys.readouterr().out


def test_perfect_maps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One thing of 64 pixels on stuff of 6080: found whole, and the stuff with it unless less is asked for than its
    area.
    """
    run(monkeypatch, 'perfect_maps', coco_panoptic(tmp_path), '--stuff-area', 0, 7000, '--top-k', 10)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith('val: 4 images')
    assert lines[-2:] == [
        '| 0 | 10 | 7 | 100.00 | 100.00 | 100.00 | 0 |',
        '| 7000 | 10 | 7 | 50.00 | 100.00 | 0.00 | 4 |',
    ]


def test_workers(
    monkeypatch: pytest.MonkeyPatch, toy_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The only process of its group; test_search_workers.py has several."""
    for name, value in dict(MASTER_ADDR='127.0.0.1', MASTER_PORT=free_port(), RANK=0, WORLD_SIZE=1).items():
        monkeypatch.setenv(name, str(value))
    config('search', toy_root, tmp_path).dump(str(tmp_path / 'search.py'))
    run(monkeypatch, 'workers', tmp_path / 'search.py', '--candidates', 2, '--rounds', 1)
    assert re.search(r'round 0: 1 process [\d.]+ s, 1 processes [\d.]+ s', capsys.readouterr().out)


def test_train_peers(
    monkeypatch: pytest.MonkeyPatch, toy_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A peer alone, then beside others: what was trained is kept, another training in the same folder is refused."""
    config('subnet', toy_root, tmp_path / 'ours', **FAST).dump(str(tmp_path / 'recipe.py'))
    recipe, out = tmp_path / 'recipe.py', tmp_path / 'out'
    small = ['--seconds', 0.01, '--threads', 1, '--device', 'cpu', '--out', out]
    alone = ['--peers', 'fast-scnn', '--seeds', 0, 1, '--targets', 'onnxruntime']
    run(monkeypatch, 'train_peers', recipe, '--iters', 2, *small, *alone)
    found = json.loads((out / 'peers.json').read_text())
    assert found['networks'][0]['onnxruntime']['latency_ms'] > 0 and not found['problems']
    assert found['fronts']['onnxruntime']['above_ours'] == {'fast-scnn': True}
    assert 'onnxruntime: peers above our front at their latency: fast-scnn' in capsys.readouterr().out
    kept = out / 'subnets' / 'fast-scnn' / 'retrained.pth'
    before = kept.stat().st_mtime_ns
    small += ['--networks', recipe, '--peers', 'segnext-t', 'fast-scnn', '--targets', 'eager', 'cudagraph']
    small += ['--box-ms', 0.01, 100_000, '--box-score', -1, 100]
    run(monkeypatch, 'train_peers', recipe, *small, '--iters', 2)
    assert kept.stat().st_mtime_ns == before
    found = json.loads((out / 'peers.json').read_text())
    rows = found['networks']
    assert [row['kind'] == 'peers' for row in rows] == [False, True, True]
    assert [row['seeds'] for row in rows] == [['0'], ['0'], ['0', '1']] and rows[2]['std'] is not None
    assert [row['optimizer'] for row in rows] == ['SGD 0.02', 'AdamW 0.0006', 'SGD 0.02']
    assert all(0 <= row['score'] <= 100 and row['eager']['latency_ms'] > 0 for row in rows)
    assert len(found['problems']) == 3 and all('kernels of a GPU' in problem for problem in found['problems'])
    assert found['fronts']['cudagraph'] == dict(ours=0, peers=0, ratio=None, above_ours={})
    front = found['fronts']['eager']
    assert 0 < front['ours'] < 1 and front['ratio'] == pytest.approx(front['ours'] / front['peers'])
    ours, *peers = ((row['eager']['latency_ms'], row['score']) for row in rows)
    names = [row['network'] for row in rows[1:]]
    assert front['above_ours'] == {name: ms < ours[0] or score > ours[1] for name, (ms, score) in zip(names, peers)}
    printed = capsys.readouterr().out
    assert 'eager: share of the box' in printed and 'AdamW 0.0006' in printed
    assert (out / 'peers.png').stat().st_size > 10_000
    with pytest.raises(ValueError, match='was made for another training'):
        run(monkeypatch, 'train_peers', recipe, *small, '--iters', 1)


def test_training_step_undoes_what_the_recipe_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    script = runpy.run_path('benchmarks/training_step.py')
    found = {
        name: str((cfg.train_dataloader, cfg.model, cfg.default_hooks, cfg.optim_wrapper))
        for name, cfg in script['variants'](script['read_recipe']('small'), True).items()
    }
    parts = ('Cached', 'Lean', 'UpsampledCELoss', 'ChannelsLastHook', 'Bfloat16OptimWrapper')
    counts = {name: [part in text for part in parts] for name, text in found.items()}
    assert all(counts.pop('recipe')) and not any(counts.pop('plain'))
    assert [missing.index(False) for missing in counts.values()] == list(range(len(parts)))
    assert all(sum(missing) == len(parts) - 1 for missing in counts.values())


def test_step_profile_and_speed(
    monkeypatch: pytest.MonkeyPatch, toy_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cfg, toy = config('supernet', toy_root, tmp_path), tmp_path / 'config.py'
    cfg.train_dataloader.dataset.pipeline[3].scale = (512, 256)
    cfg.dump(str(toy))
    run(monkeypatch, 'step_profile', '--config', toy, '--batch', 2, '--images', 2, '--sides', 1024, 2048)
    loading, steps = capsys.readouterr().out.split('operations')
    found = re.findall(r'(whole|half) .*(int64|uint8) .* ([\d,]+) ', loading)
    assert [(files, int(count.replace(',', ''))) for files, _, count in found] == [
        *(('whole', 11 * 64 * 64), ('whole', 4 * 64 * 64), ('half', 4 * 64 * 64))
    ]
    before, now = (int(count.replace(',', '')) for count in re.findall(r'│ (?:before|now) +│ ([\d,]+) ', steps))
    assert before > now > 100
    run(monkeypatch, 'step_speed', toy, '--batch', 2, '--rounds', 1, '--steps', 1, '--threads', 1, '--device', 'cpu')
    assert len(re.findall(r'│ (?:float32|bfloat16)(?:, channels-last)? +│ 2 +│ [\d.]+', capsys.readouterr().out)) == 4


def test_gpu_check_runs_its_plan_whatever_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commands = []

    def pretend(command: list[str], stdout: TextIO, timeout: float, **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command[1:])
        stdout.write('noise\n┏━━┓\n│ 12 │\n')
        if 'benchmarks/attention.py' in command:
            raise subprocess.TimeoutExpired(command, timeout)
        if 'tools/train.py' in command:
            (tmp_path / 'supernet').mkdir()
            (tmp_path / 'supernet' / 'iter_2.pth').touch()
        return subprocess.CompletedProcess(command, int('benchmarks/panoptic.py' in command))

    monkeypatch.setattr(subprocess, 'run', pretend)
    assert run_script(monkeypatch, 'benchmarks/gpu_check.py', '--emulated', '--out', tmp_path) == 1
    report = (tmp_path / 'report.md').read_text()
    assert report.count('done, ') == 2 * (len(commands) - 2) and 'noise' not in report and '│ 12 │' in report
    assert '| attention |' in report and 'OUT OF TIME' in report and 'FAILED (1)' in report
    assert (tmp_path / 'supernet' / 'last.pth').exists() and '## search' in capsys.readouterr().out
    for script, *given in commands[1:]:  # after pytest's
        command = given[:1] if script == 'tools/benchmark.py' else []
        assert run_script(monkeypatch, script, *command, '--help') == 0
        known = capsys.readouterr().out
        assert all(f'{option} ' in known or f'{option}\n' in known for option in given if option.startswith('--'))


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_gpu_check_needs_a_gpu_or_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_script(monkeypatch, 'benchmarks/gpu_check.py') == 2
    assert 'there is no GPU here; --emulated runs the plan at toy size' in capsys.readouterr().err
