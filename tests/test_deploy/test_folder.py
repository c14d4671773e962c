"""The folder that ships with a network: its README's lines run as they stand, and nothing is made twice."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from hyctas_mm.archs import Architecture
from hyctas_mm.costs.targets import target
from hyctas_mm.deploy import folder
from hyctas_mm.deploy.description import KEY, NetDescription
from hyctas_mm.deploy.folder import FolderOptions, write_folder
from hyctas_mm.models.subnet import subnet_model_cfg
from tests.conftest import run_script, supernet_cfg
from tests.test_deploy.onnx_fixtures import save, semantic_config
from tests.tiny_jobs import SPACE

pytestmark = pytest.mark.slow

TOOL = 'tools/deploy.py'
ARCH = Architecture.from_dict(
    dict(
        branches=[[dict(op='lite_conv', width=4)]],
        gates=[],
        format='hyctas_mm/arch-1',
        head_width=6,
        low_level='none',
        stem_width=6,
    )
)
"""As small as can be: what its files are written by takes longer for each layer."""
FEW = ('--shape', 64, 128, '--images', 2, '--val-images', 2, '--seconds', 0.01)


@pytest.fixture(scope='module')
def subnet(toy_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with ``deploy/`` of fp32 and int8 in every runtime that is here."""
    folder = tmp_path_factory.mktemp('subnets') / 'a1b2'
    cfg = semantic_config(toy_root, folder)
    cfg.model = subnet_model_cfg(supernet_cfg(SPACE, num_classes=11), ARCH)
    save(cfg, folder)
    here = [name for name in ('openvino', 'ncnn') if target.find_spec(name)]
    with pytest.MonkeyPatch.context() as patch:
        asked = ('--targets', 'onnxruntime', *here, '--precision', 'fp32', 'int8')
        assert run_script(patch, TOOL, folder, *asked, *FEW) == 0
    return folder


def front_matter(readme: Path) -> dict[str, Any]:
    import yaml

    return yaml.safe_load(readme.read_text().split('---\n')[1])


def test_the_readme_runs_as_it_stands(subnet: Path, tmp_path: Path) -> None:
    """All of its Python, in a process that has nothing of ours, in a copy of the folder; runtimes agree."""
    shutil.copytree(subnet / 'deploy', tmp_path / 'ships')
    picture = np.random.default_rng(0).integers(0, 256, (64, 128, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / 'ships' / 'image.png'), picture)
    readme = (tmp_path / 'ships' / 'README.md').read_text()
    blocks = re.findall(r'```python\n(.*?)```', readme, re.S)
    assert len(blocks) == 1 + sum(bool(target.find_spec(name)) for name in ('openvino', 'ncnn'))
    assert len(blocks[0].splitlines()) == 4  # one to import
    saves = [f'{block}\nimport numpy\nnumpy.save("{n}", classes)\n' for n, block in enumerate(blocks)]
    command = [sys.executable, '-I', '-c', '\n'.join(saves)]
    subprocess.run(command, cwd=tmp_path / 'ships', check=True, env={'PATH': os.environ['PATH']}, timeout=100)
    found = [np.load(tmp_path / 'ships' / f'{n}.npy').reshape(64, 128) for n in range(len(blocks))]
    assert found[0].dtype == np.int32 and len(np.unique(found[0])) > 1
    assert all((classes == found[0]).mean() > 0.99 for classes in found)


def test_the_card_tells_what_there_is(subnet: Path) -> None:
    card = front_matter(subnet / 'deploy' / 'README.md')
    assert card['license'] == 'other' and card['metrics'] == ['mean_iou'] and 'semantic-segmentation' in card['tags']
    notes = json.loads((subnet / 'deploy' / 'deploy.json').read_text())
    (metric,) = card['model-index'][0]['results'][0]['metrics']
    assert metric['value'] == pytest.approx(notes['files']['onnxruntime']['metrics']['mIoU'], abs=0.006)
    readme = (subnet / 'deploy' / 'README.md').read_text()
    for name in ('model.onnx', 'model.int8.onnx'):
        assert (subnet / 'deploy' / name).is_file() and f'| `{name}` |' in readme
    changed = notes['files']['onnxruntime int8']['changed_pixels']
    assert (
        set(changed) == {'all', 'lite_conv', 'stem', 'head'}
        and 0 <= min(changed.values()) <= max(changed.values()) < 0.5
    )
    assert f'8 bits change the class of {100 * changed["all"]:.1f} % of the pixels' in readme
    floats = [entry['metrics']['mIoU'] for entry in notes['files'].values() if entry['target']['precision'] == 'fp32']
    assert max(floats) - min(floats) < 0.5
    assert set(notes['latency']['rounds_ms']) == set(notes['files'])


def test_what_is_there_is_kept_until_the_weights_change(
    subnet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of another run, without computing anything again."""
    copy = tmp_path / 'a1b2'
    shutil.copytree(subnet, copy)
    notes = json.loads((copy / 'deploy' / 'deploy.json').read_text())
    interface = NetDescription.from_metadata({KEY: notes['files']['onnxruntime']['description']}, 'model.onnx')
    made: list[str] = []

    def make(_: object, path: Path, *args: object) -> NetDescription:
        path.write_bytes(b'new')
        made.append(path.name)
        return interface

    monkeypatch.setattr(folder, '_make', make)
    monkeypatch.setattr(folder, 'score', lambda *_: dict(mIoU=1.0))
    monkeypatch.setattr(folder, 'net_of', lambda *_: None)
    monkeypatch.setattr(folder, '_measure', lambda *_: None)
    both = FolderOptions((64, 128), precisions=('fp32', 'int8'), val_images=2)
    readme = (copy / 'deploy' / 'README.md').read_text()
    write_folder(copy, both)
    assert made == [] and (copy / 'deploy' / 'README.md').read_text() == readme
    (copy / 'deploy' / 'model.int8.onnx').unlink()
    write_folder(copy, both)
    assert made == ['model.int8.onnx']
    content = torch.load(copy / 'weights.pth', weights_only=True)
    torch.save(content | dict(meta=dict(note='trained on')), copy / 'weights.pth')
    write_folder(copy, FolderOptions((64, 128), val_images=2))
    assert made == ['model.int8.onnx', 'model.onnx']
    assert {path.name for path in (copy / 'deploy').iterdir()} == {'model.onnx', 'deploy.json', 'README.md'}


def test_mistakes_are_told_in_a_line(
    subnet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(*arguments: object) -> str:
        assert run_script(monkeypatch, TOOL, *arguments) == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    assert run_script(monkeypatch, TOOL, '--help') == 0
    assert f'--targets {{{",".join(folder.SUFFIXES)}}}' in ' '.join(capsys.readouterr().out.split())
    assert 'no config.py' in told(tmp_path)
    shutil.copy(subnet / 'config.py', tmp_path)
    assert 'neither retrained.pth nor weights.pth' in told(tmp_path, '--shape', 64, 128)
    assert '--val-images 0; expected 1 or more' in told(subnet, '--val-images', 0)
    assert "precision 'int8' of ncnn" in told(subnet, '--targets', 'ncnn', '--precision', 'int8')
    monkeypatch.setattr(target, 'find_spec', lambda name: None if name == 'openvino' else object())
    assert 'pip install openvino' in told(subnet, '--targets', 'openvino')
