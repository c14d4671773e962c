"""Kits: networks go to a device elsewhere, measurements come back."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hyctas_mm.archs import SearchSpace
from hyctas_mm.costs import FittedTable, Target, fitted_table
from hyctas_mm.costs.targets import OnnxRuntime, on_device
from hyctas_mm.engine import target_kit, target_table
from hyctas_mm.engine.candidate_costs import CandidateCosts
from hyctas_mm.engine.kit_script import script_of
from tests.conftest import supernet_cfg

SHAPE = (1, 3, 32, 64)
TARGET = Target('onnxruntime')
SPACE = SearchSpace(layers=4, ops=('skip', 'conv'), widths=(4, 8), max_branches=2, branch_probs=(0.5, 0.5))
BARE = """
import importlib.abc, sys, runpy
class Bare(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition('.')[0]
        if path is None and top not in sys.stdlib_module_names and top not in ('numpy', 'onnxruntime', 'coloredlogs'):
            raise ModuleNotFoundError(f'{name} is not on the device', name=name)
sys.meta_path.insert(0, Bare())
sys.argv = ['measure.py', '--rounds', '2', '--seconds', '0.01']
runpy.run_path('kit/measure.py', run_name='__main__')
"""


@pytest.mark.slow
def test_a_kit_runs_where_there_is_only_numpy_and_the_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target_table, 'LEAST', 6)
    monkeypatch.setattr(target_table, 'LEFT_OUT', 0.5)
    monkeypatch.setattr(fitted_table, 'LEAST', 3)
    write, first = OnnxRuntime.write, tmp_path / 'first.onnx'

    def once(self: OnnxRuntime, net: Any, x: Any, folder: Path, name: str) -> Path:
        """Writing takes seconds, and here one network is as good as another."""
        if not first.exists():
            write(self, net, x, tmp_path, 'first')
        return Path(shutil.copy(first, folder / f'{name}.onnx'))

    monkeypatch.setattr(OnnxRuntime, 'write', once)
    kit, measured, out = tmp_path / 'kit.zip', tmp_path / 'measured.json', tmp_path / 'table.json'
    target_kit.make_kit(supernet_cfg(), SPACE, TARGET, (32, 64), kit, networks=6)
    with zipfile.ZipFile(kit) as archive:
        archive.extractall(tmp_path / 'kit')
    done = subprocess.run([sys.executable, '-I', '-c', BARE], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 'measured.json: 6 networks on' in done.stdout
    found = json.loads(measured.read_text())
    assert all(len(rounds) >= 2 and min(rounds) > 0 for rounds in found['rounds_ms'].values())
    check = target_kit.fit_kit(kit, measured, out)
    assert check.left_out == 3
    table = FittedTable(out, TARGET, SHAPE)
    costs = CandidateCosts(supernet_cfg(), SHAPE, table)
    assert costs(SPACE.sample(np.random.default_rng(9)))['latency_ms'] > 0
    refused(monkeypatch, kit, measured, found)


def refused(monkeypatch: pytest.MonkeyPatch, kit: Path, measured: Path, found: dict[str, Any]) -> None:
    """What came back must be of the kit, and whole."""
    out = measured.with_name('other.json')
    name = next(iter(found['rounds_ms']))
    for wrong, expected in [
        (dict(kit='another'), r'measured with another kit \(another\)'),
        (dict(rounds_ms=dict(found['rounds_ms'], **{name: [1.0]})), '1 of 6 networks have less than two rounds'),
        (dict(format='x'), 'not what measure.py writes'),
    ]:
        measured.write_text(json.dumps(found | wrong))
        with pytest.raises(ValueError, match=expected):
            target_kit.fit_kit(kit, measured, out)
    measured.write_text('{')
    with pytest.raises(ValueError, match='not a JSON file'):
        target_kit.fit_kit(kit, measured, out)
    with pytest.raises(FileNotFoundError, match='no such kit; make it with'):
        target_kit.fit_kit(kit.with_name('no.zip'), measured, out)
    with pytest.raises(ValueError, match='not a kit of tools/target_kit.py'):
        target_kit.fit_kit(measured, measured, out)
    assert not out.exists()


TOOLS = {
    'ncnn': (
        'benchncnn',
        'echo "$@" >>calls.txt; echo "  a.param  min =    1.10  max =    9.90  avg =    2.50" >&2',
        '10 2 0 -1 0 param={} shape=[64,32,3]',
    ),
    'tensorrt': (
        'trtexec',
        'echo "$@" >>calls.txt; case "$1" in --onnx=*) touch "${3#--saveEngine=}";; esac\n'
        'echo "[I] Latency: min = 3 ms, median = 4 ms"\n'
        'echo "[I] GPU Compute Time: min = 1 ms, max = 3 ms, mean = 2.6 ms, median = 2.50 ms, percentile(90%) = 3 ms"',
        '--loadEngine={}.engine',
    ),
}


@pytest.mark.parametrize('runtime', TOOLS)
def test_a_kit_runs_where_there_is_only_a_shell(runtime: str, tmp_path: Path) -> None:
    """By a program that says what the runtime's own says; what an interruption left is kept."""
    program, body, called = TOOLS[runtime]
    (tmp_path / 'bin').mkdir()
    for name, text in ((program, body), ('nvidia-smi', 'echo GPU')):
        (tmp_path / 'bin' / name).write_text(f'#!/bin/sh\n{text.replace(chr(92) + "n", chr(10))}\n')
        (tmp_path / 'bin' / name).chmod(0o755)
    files = dict(a1='a1.param', b2='b2.param') if runtime == 'ncnn' else dict(a1='a1.onnx', b2='b2.onnx')
    target = Target(runtime, 'fp32' if runtime == 'ncnn' else 'fp16', threads=2).to_dict()
    kit = dict(target=target, input_shape=list(SHAPE), files=files, identity='1f')
    script = script_of(kit)
    assert script is not None and script_of(kit | dict(target=TARGET.to_dict())) is None
    place = tmp_path / 'kit'
    place.mkdir()
    (place / 'run.sh').write_text(script)
    command = ['sh', str(place / 'run.sh')]
    missing = subprocess.run(command, env=dict(PATH='/usr/bin:/bin'), capture_output=True, text=True, check=False)
    assert missing.returncode == 2 and f'no {program} on PATH' in missing.stderr
    (place / 'measured.txt').write_text('a1 1.25\n')
    path = f'{tmp_path / "bin"}:/usr/bin:/bin'
    for _ in range(2):
        done = subprocess.run(command, env=dict(PATH=path), capture_output=True, text=True, check=False)
        assert done.returncode == 0 and 'measured.json: 2 networks' in done.stdout, done.stderr
    calls = (place / 'calls.txt').read_text().splitlines()
    assert calls.count(called.format(files['b2'] if runtime == 'ncnn' else 'b2')) == 2
    assert len(calls) == (3 if runtime == 'ncnn' else 5)  # each engine is built once
    found = json.loads((place / 'measured.json').read_text())
    assert found['rounds_ms'] == dict(a1=[1.25, 2.5], b2=[2.5, 2.5]) and found['device']
    assert (found['kit'], found['format'], found['target']) == ('1f', on_device.FORMAT, target)
    if runtime == 'tensorrt':
        assert '--onnx=b2.onnx --fp16 --saveEngine=b2.engine' in calls


def test_a_kit_for_what_reads_no_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='a kit for eager; expected one of onnxruntime, openvino, ncnn, tensorrt'):
        target_kit.make_kit(supernet_cfg(), SPACE, Target(), (32, 64), tmp_path / 'kit.zip')
