"""The quickstart's whole way, tiny, and the command lines as a user starts them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config

from hyctas_mm.archs import SearchSpace
from hyctas_mm.engine import retraining
from hyctas_mm.engine.configs import set_data_root
from hyctas_mm.search.archive import read_archive
from hyctas_mm.wizard.pipeline import Job, run_pipeline
from tests.conftest import ROOT, run_script
from tests.tiny_jobs import FAST, SPACE, config, run


def command(*args: object, cwd: Path = ROOT) -> str:
    """Output of a command of ours; fails with what it printed."""
    environment = os.environ | dict(PATH=f'{Path(sys.executable).parent}:{os.environ["PATH"]}', OMP_NUM_THREADS='1')
    done = subprocess.run([str(a) for a in args], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope='module')
def configs(toy_root: Path, supernet: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny configs as files."""
    folder = tmp_path_factory.mktemp('configs')
    for kind in ('supernet', 'search', 'subnet'):
        cfg = config(kind, toy_root, folder / 'work')
        cfg.pop('work_dir')
        if kind == 'search':
            cfg.train_cfg.supernet, cfg.train_cfg.subnet_config = str(supernet), 'subnet.py'
            cfg.train_cfg.objectives = ['mIoU', 'latency_ms']
            cfg.train_cfg.latency_seconds = 0.001
        cfg.dump(str(folder / f'{kind}.py'))
    return folder


@pytest.mark.slow
def test_everything_in_one_call_and_once_only(
    toy_root: Path, configs: Path, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    work, search = tmp_path / 'work', configs / 'search_one.py'
    search.write_text("_base_ = 'search.py'\ntrain_cfg = dict(num_chosen=1)\n")
    job = Job(str(configs / 'supernet.py'), str(search), work, str(toy_root), subnet_options=FAST, precision=('int8',))
    report = run_pipeline(job)
    printed = capfd.readouterr().out
    assert 'supernet steps 4/4' in printed and 'search candidates 12/12' in printed and 'mmengine - INFO' not in printed
    assert 'retrained (' in report.read_text() or 'etrained' in report.read_text()
    notes = [json.loads(path.read_text()) for path in work.glob('search/subnets/*/deploy/deploy.json')]
    assert [set(found['files']) for found in notes] == [{'onnxruntime', 'onnxruntime int8'}]
    assert report.read_text().count('>model.int8.onnx</a>') == 1
    archive = (work / 'search' / 'archive.jsonl').read_bytes()
    assert run_pipeline(job) == report
    assert (work / 'search' / 'archive.jsonl').read_bytes() == archive
    assert 'supernet steps' not in capfd.readouterr().out


@pytest.mark.slow
def test_mim_trains_a_search_config_and_tests_what_it_exports(configs: Path, tmp_path: Path) -> None:
    """From another working directory than the repository."""
    short = ('--cfg-options', 'train_cfg.generations=1', 'train_cfg.num_chosen=1')
    command('mim', 'train', 'mmseg', configs / 'search.py', '--work-dir', tmp_path / 'found', *short, cwd=tmp_path)
    assert len(read_archive(tmp_path / 'found' / 'search' / 'archive.jsonl')) == 6
    subnet = next((tmp_path / 'found' / 'search' / 'subnets').iterdir())
    options = ('--cfg-options', 'test_dataloader.num_workers=0', 'test_dataloader.persistent_workers=False')
    printed = command(
        'mim',
        'test',
        'mmseg',
        subnet / 'config.py',
        '--checkpoint',
        subnet / 'weights.pth',
        '--work-dir',
        tmp_path / 't',
        *options,
        cwd=tmp_path,
    )
    assert 'mIoU' in printed


def test_a_subnet_is_cut_out_by_command(
    configs: Path, supernet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arch = SearchSpace(**SPACE).sample(np.random.default_rng(0), 2)
    (tmp_path / 'arch.json').write_text(json.dumps(arch.to_dict()))
    out = tmp_path / 'subnet'
    options = ('--out', out, '--calibrate', 2)
    assert (
        run_script(
            monkeypatch, 'tools/export_subnet.py', configs / 'supernet.py', supernet, tmp_path / 'arch.json', *options
        )
        == 0
    )
    assert arch.archid in capsys.readouterr().out and {p.name for p in out.iterdir()} == {
        'arch.json',
        'config.py',
        'weights.pth',
        'arch.svg',
    }
    fast = ('--shape', 32, 64, '--seconds', 0.05, '--rounds', 2, '--device', 'cpu')
    assert run_script(monkeypatch, 'tools/benchmark.py', out / 'config.py', *fast) == 0
    assert 'latency' in capsys.readouterr().out


@pytest.mark.slow
def test_from_a_search_to_a_network(fast_search: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By command: retraining beside a random network, the report, a test, the exported file."""
    monkeypatch.setattr(retraining, 'RANDOM_TRIES', 5)
    chosen = set((fast_search / 'search' / 'subnets').iterdir())
    assert run_script(monkeypatch, 'tools/retrain.py', fast_search, '--random', 1) == 0
    folders = sorted(path.parent for path in fast_search.rglob('retrained.pth'))
    assert len(folders) == len(chosen) + 1 and chosen < set(folders)
    assert run_script(monkeypatch, 'tools/report.py', fast_search) == 0
    assert 'retrained' in (fast_search / 'search' / 'report.html').read_text()
    network = (folders[0] / 'config.py', folders[0] / 'retrained.pth')
    assert (
        run_script(
            monkeypatch,
            'tools/test.py',
            *network,
            '--work-dir',
            tmp_path / 'tested',
            '--out',
            tmp_path / 'metrics.json',
        )
        == 0
    )
    results = json.loads((folders[0] / 'results.json').read_text())['retrained']
    assert json.loads((tmp_path / 'metrics.json').read_text())['mIoU'] == results['mIoU']
    assert (
        run_script(monkeypatch, 'tools/export_onnx.py', *network, '--shape', 64, 128, '--out', tmp_path / 'net.onnx')
        == 0
    )
    assert (tmp_path / 'net.onnx').stat().st_size > 10_000


def test_a_subnet_is_cut_out_without_images(
    configs: Path, supernet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / 'arch.json', tmp_path / 'subnet'
    path.write_text(json.dumps(SearchSpace(**SPACE).sample(np.random.default_rng(0), 1).to_dict()))
    arguments = (configs / 'supernet.py', supernet, path, '--out', out, '--data-root', tmp_path / 'nowhere')
    assert run_script(monkeypatch, 'tools/export_subnet.py', *arguments) == 2
    assert re.search(r'nowhere.*; or give --calibrate 0, which needs no images', capsys.readouterr().err)
    assert run_script(monkeypatch, 'tools/export_subnet.py', *arguments, '--calibrate', '0') == 0
    assert (out / 'weights.pth').is_file()


@pytest.mark.parametrize('tool', sorted(p.name for p in (ROOT / 'tools').glob('*.py')))
def test_every_tool_explains_itself(
    tool: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_script(monkeypatch, f'tools/{tool}', '--help') == 0
    assert f'usage: {tool}' in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize('name', ['idd_lite', 'camvid'])
def test_real_images_from_supernet_to_front(name: str, real_data: Path, tmp_path: Path) -> None:
    """The quickstart's configs as they are, but for their length and the size at which latency is measured."""
    loaders = {
        f'{k}_dataloader.{o}': v
        for k in ('train', 'val')
        for o, v in (('num_workers', 0), ('persistent_workers', False), ('batch_size', 2))
    }
    folder = ROOT / 'configs' / 'quickstart'
    supernet = Config.fromfile(folder / f'{name}_supernet.py')
    search = Config.fromfile(folder / f'{name}_search.py')
    for cfg, part in ((supernet, 'supernet'), (search, '.')):
        set_data_root(cfg, str(real_data / name))
        cfg.merge_from_dict(loaders | dict(work_dir=str(tmp_path / part)))
    supernet.merge_from_dict({'train_cfg.max_iters': 3, 'train_cfg.val_begin': 99, 'param_scheduler': None})
    run(supernet)
    search.merge_from_dict(
        {
            'train_cfg.branches': (3,),
            'train_cfg.population': 2,
            'train_cfg.generations': 1,
            'train_cfg.latency_seconds': 0.001,
        }
    )
    search.merge_from_dict({'train_cfg.input_hw': (64, 96), 'train_cfg.num_chosen': 1})
    search.merge_from_dict(
        {'train_cfg.supernet': str(tmp_path / 'supernet' / 'iter_3.pth'), 'val_dataloader.dataset.indices': 6}
    )
    run(search)
    found = read_archive(tmp_path / 'search' / 'archive.jsonl')
    assert len(found) == 2 and all(0 <= c.metrics['mIoU'] <= 100 and c.costs['latency_ms'] > 0 for c in found)
    exported = Config.fromfile(next((tmp_path / 'search' / 'subnets').iterdir()) / 'config.py')
    assert exported.train_dataloader.dataset.data_root == str((real_data / name).resolve())
