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
from hyctas_mm.engine.cli import set_data_root
from hyctas_mm.engine.pipeline import Job, run_pipeline
from hyctas_mm.search.archive import read_archive
from tests.test_engine.conftest import SPACE, config, run
from tests.test_engine.test_handover import FAST
from tools import export_subnet

ROOT = Path(__file__).parents[2]


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


def test_everything_in_one_call_and_once_only(toy_root: Path, configs: Path, tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    work = tmp_path / 'work'
    job = Job(str(configs / 'supernet.py'), str(configs / 'search.py'), work, str(toy_root), subnet_options=FAST)
    report = run_pipeline(job)
    printed = capfd.readouterr().out
    assert 'supernet steps 4/4' in printed and 'search candidates 12/12' in printed and 'mmengine - INFO' not in printed
    assert 'retrained (' in report.read_text() or 'etrained' in report.read_text()
    assert len(list(work.glob('search/subnets/*/model.onnx'))) == 1
    archive = (work / 'search' / 'archive.jsonl').read_bytes()
    assert run_pipeline(job) == report
    assert (work / 'search' / 'archive.jsonl').read_bytes() == archive
    assert 'supernet steps' not in capfd.readouterr().out


def test_mim_trains_a_search_config_and_tests_what_it_exports(configs: Path, tmp_path: Path) -> None:
    """From another working directory than the repository."""
    command('mim', 'train', 'mmseg', configs / 'search.py', '--work-dir', tmp_path / 'found', cwd=tmp_path)
    assert len(read_archive(tmp_path / 'found' / 'search' / 'archive.jsonl')) == 12
    subnet = next((tmp_path / 'found' / 'search' / 'subnets').iterdir())
    options = ('--cfg-options', 'test_dataloader.num_workers=0', 'test_dataloader.persistent_workers=False')
    printed = command(
        'mim', 'test', 'mmseg', subnet / 'config.py', '--checkpoint', subnet / 'weights.pth', '--work-dir', tmp_path / 't', *options, cwd=tmp_path
    )
    assert 'mIoU' in printed


def test_a_subnet_is_cut_out_by_command(configs: Path, supernet: Path, tmp_path: Path) -> None:
    arch = SearchSpace(**SPACE).sample(np.random.default_rng(0), 2)
    (tmp_path / 'arch.json').write_text(json.dumps(arch.to_dict()))
    out = tmp_path / 'subnet'
    printed = command(
        sys.executable, 'tools/export_subnet.py', configs / 'supernet.py', supernet, tmp_path / 'arch.json', '--out', out, '--calibrate', 2
    )
    assert arch.archid in printed and {p.name for p in out.iterdir()} == {'arch.json', 'config.py', 'weights.pth', 'arch.svg'}
    table = command(sys.executable, 'tools/benchmark.py', out / 'config.py', '--shape', 32, 64, '--seconds', 0.05, '--rounds', 2)
    assert 'latency' in table


def test_a_subnet_is_cut_out_without_images(
    configs: Path, supernet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    path, out = tmp_path / 'arch.json', tmp_path / 'subnet'
    path.write_text(json.dumps(SearchSpace(**SPACE).sample(np.random.default_rng(0), 1).to_dict()))
    arguments = [configs / 'supernet.py', supernet, path, '--out', out, '--data-root', tmp_path / 'nowhere']
    monkeypatch.setattr(sys, 'argv', ['export_subnet.py', *map(str, arguments)])
    assert export_subnet.main() == 2
    assert re.search(r'nowhere.*; or give --calibrate 0, which needs no images', capsys.readouterr().err)
    sys.argv += ['--calibrate', '0']
    assert export_subnet.main() == 0 and (out / 'weights.pth').is_file()


@pytest.mark.parametrize('tool', sorted(p.name for p in (ROOT / 'tools').glob('*.py')))
def test_every_tool_explains_itself(tool: str) -> None:
    assert 'usage' in command(sys.executable, f'tools/{tool}', '--help')


@pytest.mark.parametrize('name', ['idd_lite', 'camvid'])
def test_real_images_from_supernet_to_front(name: str, real_data: Path, tmp_path: Path) -> None:
    """The quickstart's configs as they are, but for their length."""
    loaders = {f'{k}_dataloader.{o}': v for k in ('train', 'val') for o, v in (('num_workers', 0), ('persistent_workers', False), ('batch_size', 2))}
    folder = ROOT / 'configs' / 'quickstart'
    supernet = Config.fromfile(folder / f'{name}_supernet.py')
    search = Config.fromfile(folder / f'{name}_search.py')
    for cfg, part in ((supernet, 'supernet'), (search, '.')):
        set_data_root(cfg, str(real_data / name))
        cfg.merge_from_dict(loaders | dict(work_dir=str(tmp_path / part)))
    supernet.merge_from_dict({'train_cfg.max_iters': 3, 'param_scheduler': None})
    run(supernet)
    search.merge_from_dict({'train_cfg.branches': (3,), 'train_cfg.population': 2, 'train_cfg.generations': 1, 'train_cfg.latency_seconds': 0.001})
    search.merge_from_dict({'train_cfg.supernet': str(tmp_path / 'supernet' / 'iter_3.pth'), 'val_dataloader.dataset.indices': 6})
    run(search)
    found = read_archive(tmp_path / 'search' / 'archive.jsonl')
    assert len(found) == 2 and all(0 <= c.metrics['mIoU'] <= 100 and c.costs['latency_ms'] > 0 for c in found)
    exported = Config.fromfile(next((tmp_path / 'search' / 'subnets').iterdir()) / 'config.py')
    assert exported.train_dataloader.dataset.data_root == str((real_data / name).resolve())
