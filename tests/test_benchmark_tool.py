"""The commands of tools/benchmark.py beside counting, which test_published_numbers.py has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config

from hyctas_mm.archs import load_arch
from hyctas_mm.costs import LatencyTable, peak_memory
from hyctas_mm.measuring.commands import random_networks, read_space
from tools import benchmark

ROOT = Path(__file__).parents[1]

QUICKSTART = ROOT / 'configs' / 'quickstart'
SUBNET, SEARCH = QUICKSTART / 'toy_streets_subnet.py', QUICKSTART / 'toy_streets_search.py'
FAST = ('--device', 'cpu', '--seconds', 0.02, '--rounds', 2)


def run(tmp_path: Path, *args: object) -> dict[str, Any]:
    """The JSON file that a command writes."""
    path = tmp_path / 'out.json'
    assert benchmark.main([*map(str, args), '--json', str(path)]) == 0
    return json.loads(path.read_text())


def refused(capsys: pytest.CaptureFixture[str], *args: object) -> str:
    assert benchmark.main([*map(str, args)]) == 2
    return capsys.readouterr().err


# latency --------------------------------------------------------------------------------------------------------------


def test_latency_of_configs_and_architectures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arch = tmp_path / 'arch.json'
    arch.write_text(json.dumps(load_arch('hyctas-s').to_dict()))
    found = run(tmp_path, 'latency', SUBNET, arch, '--base-channels', 4, '--shape', 32, 64, *FAST, '--threads', 1)
    assert (
        found['threads'] == 1
        and found['networks'][0]['target'] == 'eager'
        and found['clock'] == 'wall'
        and 'CPU' in found['device'].upper()
    )
    assert found['software']['torch'] == torch.__version__ and len(found['date']) == 19
    assert len(found['networks']) == 2
    for row in found['networks']:
        assert row['input'] == [32, 64] and len(row['rounds_ms']) == 2
        assert 0 < row['p10_ms'] <= row['latency_ms'] <= row['p90_ms'] and row['runs'] >= 5
        assert row['fps'] == pytest.approx(1e3 / row['latency_ms']) and (
            row['memory_mb'] is None or row['memory_mb'] > 1
        )
    assert 'p10..p90' in capsys.readouterr().out


@pytest.mark.slow
def test_latency_by_target_and_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / 'deeper' / 'latency.png'
    targets = ('--targets', 'eager', 'onnxruntime', 'cudagraph', '--precision', 'fp32', 'int8')
    found = run(tmp_path, 'latency', SUBNET, '--shape', 32, 64, *targets, *FAST, '--threads', 1, '--picture', picture)
    assert [row['target'] for row in found['networks']] == ['eager', 'onnxruntime', 'onnxruntime int8']
    assert all(row['latency_ms'] > 0 for row in found['networks']) and 'onnxruntime' in found['software']
    assert len(found['problems']) == 1 and 'records the kernels of a GPU' in found['problems'][0]
    assert picture.read_bytes().startswith(b'\x89PNG') and 'onnxruntime int8' in capsys.readouterr().out


def test_latency_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arch = tmp_path / 'arch.json'
    arch.write_text(json.dumps(load_arch('hyctas-s').to_dict()))
    assert "target 'abacus'; expected one of eager" in refused(
        capsys, 'latency', SUBNET, '--shape', 32, 64, '--targets', 'abacus', *FAST
    )
    assert 'give --shape H W' in refused(capsys, 'latency', arch, '--base-channels', 4)
    assert 'give --base-channels' in refused(capsys, 'latency', arch, '--shape', 32, 64)
    assert 'no.json' in refused(capsys, 'latency', tmp_path / 'no.json', '--shape', 32, 64)
    assert '--threads 0; expected 1 or more' in refused(capsys, 'latency', SUBNET, '--threads', 0)
    clock = ('--clock', 'cpu', '--threads', 2)
    assert "clock 'cpu' counts one thread on the CPU" in refused(
        capsys, 'latency', SUBNET, '--shape', 32, 64, *clock, *FAST
    )
    bare = tmp_path / 'bare.py'
    bare.write_text("model = dict(type='EncoderDecoder', backbone=dict(type='HyCTASBackbone', arch='hyctas-s'))")
    assert 'give --shape H W' in refused(capsys, 'latency', bare)


def test_compile_that_does_not_work_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError('InvalidCxxCompiler')

    monkeypatch.setattr(torch, 'compile', lambda net, **_: refuse)
    said = refused(capsys, 'latency', SUBNET, '--shape', 32, 64, '--targets', 'compile', *FAST)
    assert 'InvalidCxxCompiler' in said and 'use --target eager' in said


# memory ---------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_memory_of_training_steps(tmp_path: Path) -> None:
    found = run(tmp_path, 'memory', SUBNET, '--batch', 4, '--device', 'cpu')
    (row,) = found['networks']
    assert row['input'] == [96, 192] and row['input_from'] == 'crop' and row['batch'] == 4 and 'measured_gb' not in row
    assert row['memory_gb'] == pytest.approx((row['weights'] + row['optimizer'] + row['step']) / 1e9)
    small, large = run(tmp_path, 'memory', 'hyctas-s', 'hyctas-l', '--shape', 64, 128, '--batch', 2, '--device', 'cpu')[
        'networks'
    ]
    assert small['memory_gb'] < large['memory_gb']


@pytest.mark.slow
@pytest.mark.skipif(not peak_memory.CLEAR_REFS.exists(), reason='only Linux tells a process its peak memory')
def test_memory_is_checked_by_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a process of its own; what is not predicted is the kernels' scratch memory (benchmarks/README.md has 0.2 to
    6.2 %).
    """
    (row,) = run(tmp_path, 'memory', SUBNET, '--batch', 8, '--device', 'cpu', '--check')['networks']
    assert 0.92 < row['memory_gb'] / row['measured_gb'] < 1.01
    assert f'{row["measured_gb"]:.3f}' in capsys.readouterr().out


def test_memory_of_panoptic_networks(tmp_path: Path) -> None:
    pytest.importorskip('mmdet')
    config = tmp_path / 'panoptic.py'
    options = "arch='hyctas-s', base_channels=4"
    config.write_text(
        "default_scope = 'mmdet'\ncustom_imports = dict(imports=['hyctas_mm.register'])\n"
        f"model = dict(type='PanopticDeepLab', backbone=dict(type='HyCTASBackbone', outputs='branches', {options}),\n"
        f"    panoptic_head=dict(type='HyCTASPanopticHead', num_things_classes=3, num_stuff_classes=4, {options}))\n"
    )
    (row,) = run(tmp_path, 'memory', config, '--shape', 64, 128, '--batch', 2, '--device', 'cpu')['networks']
    assert row['step'] > 0


def test_memory_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert '--batch 0; expected 1 or more' in refused(capsys, 'memory', SUBNET, '--batch', 0)
    detector = next((ROOT / 'configs' / 'drop_in').glob('retinanet*.py'))
    assert 'RetinaNet: expected a semantic segmentor' in refused(capsys, 'memory', detector, '--batch', 2)


# Tables ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope='module')
def tiny_search(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cfg = Config.fromfile(SEARCH)
    cfg.model.backbone.search_space = cfg.model.decode_head.search_space = dict(layers=4, base_channels=4)
    cfg.train_cfg.input_hw = (32, 64)
    path = tmp_path_factory.mktemp('search') / 'search.py'
    cfg.dump(str(path))
    return path


@pytest.mark.slow
def test_a_table_is_built_and_checked(tiny_search: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / 'deeper' / 'table.json'
    common = ('--device', 'cpu', '--threads', 1)
    build = (
        'build-table',
        tiny_search,
        '--out',
        path,
        '--samples',
        3,
        '--part-seconds',
        0.0001,
        '--rounds',
        2,
        *common,
    )
    assert benchmark.main([*map(str, build)]) == 0
    table = json.loads(path.read_text())
    assert (
        table['conditions']['input_shape'] == [1, 3, 32, 64] and table['conditions']['threads'] == 1 and table['date']
    )
    assert (
        len(table['parts_ms']) > 10
        and all(ms > 0 for ms in table['parts_ms'].values())
        and table['overhead_ms'] is not None
    )
    assert 'network 3:' in capsys.readouterr().out
    found = run(tmp_path, 'check-table', tiny_search, path, '--archs', 4, '--seconds', 0.01, '--rounds', 2, *common)
    assert len(found['predicted_ms']) == len(found['measured_ms']) == 4 and len(found['rounds_ms'][0]) == 2
    assert 0 <= found['median_error'] <= found['worst_error'] and -1 <= found['kendall'] <= 1 and found['noise'] >= 0
    assert json.loads(path.read_text())['parts_ms'].items() >= table['parts_ms'].items()
    assert 'Spearman' in capsys.readouterr().out


def test_tables_say_what_is_missing(tiny_search: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / 'table.json'
    common = ('--device', 'cpu', '--threads', 1)
    assert 'has no search_space' in refused(capsys, 'build-table', SUBNET, '--out', path, *common)
    assert 'no such config' in refused(capsys, 'build-table', 'no.py', '--out', path, *common)
    assert 'make it with build-table' in refused(capsys, 'check-table', tiny_search, path, *common)
    bare = tmp_path / 'bare.py'
    bare.write_text(
        "model = dict(type='EncoderDecoder', backbone=dict(type='HyCTASBackbone', search_space=dict(layers=4)))"
    )
    assert 'give --shape H W' in refused(capsys, 'build-table', bare, '--out', path, *common)
    torch.set_num_threads(1)
    LatencyTable(path, torch.device('cpu'), (1, 3, 64, 64)).save()
    said = refused(capsys, 'check-table', tiny_search, path, *common)
    assert 'input_shape: [1, 3, 64, 64] there, [1, 3, 32, 64] here' in said
    path.unlink()
    LatencyTable(path, torch.device('cpu'), (1, 3, 32, 64)).save()
    assert '2 networks in 5 rounds' in refused(capsys, 'check-table', tiny_search, path, '--archs', 2, *common)


def test_a_table_is_of_the_networks_that_will_be_trained(tiny_search: Path) -> None:
    cfg, space, _ = read_space(str(tiny_search), None)
    cfg.train_cfg = dict(handover=dict(base_channels=6, low_level='s4'))
    network = next(random_networks(cfg, space, 0))
    assert network.backbone.arch.low_level == 's4' and next(network.parameters()).shape[0] == 2 * 2 * 6
