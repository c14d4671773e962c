"""One command for the whole job: it goes on after an interruption, shows one view, and tells errors in a line."""

from __future__ import annotations

import gc
import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from hyctas_mm.costs.targets import target as targets
from hyctas_mm.engine import retraining
from hyctas_mm.errors import MissingPackage
from hyctas_mm.files import lock_folder, read_json
from hyctas_mm.search.archive import read_archive
from hyctas_mm.search.folder import SearchFolder
from hyctas_mm.wizard import pipeline
from hyctas_mm.wizard.progress_view import STEPS, BarsView, View, ViewHook
from tests.test_wizard.test_new_search import ROOT, tool
from tests.tiny_jobs import config

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def run_all() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / 'tools'))
        yield tool('run_all')


@pytest.fixture
def work(toy_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A work dir as new_search writes it, with a supernet of four steps, a search of twelve candidates and retrainings
    of four steps.
    """
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')
    folder = tmp_path / 'work' / 'configs'
    folder.mkdir(parents=True)
    for kind in ('supernet', 'search', 'subnet'):
        cfg = config(kind, toy_root, tmp_path)
        cfg.pop('work_dir')
        if kind == 'search':
            cfg.train_cfg.subnet_config = 'subnet.py'
        cfg.dump(str(folder / f'{kind}.py'))
    return folder.parent


def test_an_interrupted_job_goes_on(
    work: Path, run_all: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Stopped while the second network is retrained: what was done before stays as it is."""
    retrain, seen = pipeline.retrain, []

    def stops(folder: Path, *args: Any, **options: Any) -> Any:
        seen.append(folder.name)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return retrain(folder, *args, **options)

    monkeypatch.setattr(pipeline, 'retrain', stops)
    assert run_all.main([str(work), '--device', 'cpu']) == 130
    caught = capsys.readouterr()
    assert "stopped in the step 'retraining'" in caught.err
    assert 'supernet steps 4/4' in caught.out and 'search candidates 12/12' in caught.out
    first = work / 'search' / 'subnets' / seen[0]
    kept = [work / 'supernet' / 'iter_4.pth', first / 'retrained.pth', first / 'results.json']
    before, archive = [path.stat().st_mtime_ns for path in kept], (work / 'search' / 'archive.jsonl').read_bytes()
    monkeypatch.setattr(pipeline, 'retrain', retrain)
    gc.collect()  # what was stopped holds the folder until then; of a process of its own nothing would be left
    assert run_all.main([str(work), '--device', 'cpu', '--deploy', 'onnxruntime']) == 0
    caught = capsys.readouterr()
    assert [path.stat().st_mtime_ns for path in kept] == before and (
        work / 'search' / 'archive.jsonl'
    ).read_bytes() == archive
    assert 'supernet steps' not in caught.out and 'retraining steps 8/8' in caught.out
    assert all(name in caught.out for name in seen) and 'mIoU' in caught.out and 'report.html' in caught.out
    assert len(read_archive(work / 'search' / 'archive.jsonl')) == 12
    assert len(list((work / 'search' / 'subnets').glob('*/deploy/model.onnx'))) == 2
    results = read_json(first / 'results.json')
    assert 0 < results['constant']['mIoU'] < 30 and isinstance(results['never_predicted'], list)
    assert 'warning: These networks may be of little worth' in caught.out
    assert 'may be of little worth' in (work / 'search' / 'report.html').read_text()


def test_seeds_and_random_networks(
    work: Path, run_all: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(retraining, 'RANDOM_TRIES', 5)
    assert run_all.main([str(work), '--device', 'cpu', '--seeds', '0', '1', '--random', '1', '--deploy', 'none']) == 0
    results = [read_json(path) for path in (work / 'search' / 'subnets').glob('*/results.json')]
    assert sorted(r.get('role', 'chosen') for r in results) == ['chosen', 'chosen', 'random']
    assert all(set(r['by_seed']) == {'0', '1'} for r in results)
    printed = capsys.readouterr().out
    assert 'random' in printed and 'retraining steps 24/24' in printed


@pytest.mark.parametrize(
    ('target', 'runtimes', 'precisions'),
    [
        (None, ('onnxruntime',), ('fp32',)),
        (dict(runtime='onnxruntime', precision='int8', threads=2), ('onnxruntime',), ('fp32', 'int8')),
        (dict(runtime='ncnn'), ('onnxruntime',), ('fp32',)),  # not installed: it is on another machine
        (dict(runtime='tensorrt', precision='int8'), ('onnxruntime',), ('fp32',)),
    ],
)
def test_files_are_those_of_the_target(
    target: Any, runtimes: Any, precisions: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(targets, 'find_spec', lambda name: None if name == 'ncnn' else object())
    search = SearchFolder(tmp_path)
    search.__dict__['settings'] = dict(target=target, input_hw=[64, 128])
    options = pipeline.ship_options(pipeline.Job('', '', tmp_path), search)
    assert (options.targets, options.precisions) == (runtimes, precisions)
    assert options.threads == (target or {}).get('threads', 1)
    with pytest.raises(MissingPackage, match='pip install ncnn'):
        pipeline.run_pipeline(pipeline.Job('', '', tmp_path, deploy=('ncnn',)))


def test_errors_are_one_line(work: Path, run_all: Any, capsys: pytest.CaptureFixture) -> None:
    with lock_folder(work):
        assert run_all.main([str(work), '--device', 'cpu']) == 1
    said = capsys.readouterr().err
    assert said.startswith('error') and 'in use by another process' in said and said.count('\n') == 1
    search = work / 'configs' / 'search.py'
    search.write_text(search.read_text().replace("'mIoU',", "'nIoU',"))
    assert run_all.main([str(work), '--device', 'cpu']) == 1
    said = capsys.readouterr().err
    assert (
        "error in the step 'search': train_cfg.objectives: 'nIoU' is unknown" in said
        and 'nIoU' in said
        and said.count('\n') == 1
    )
    assert 'Traceback' in (work / 'run_all_error.log').read_text()
    with pytest.raises(SystemExit):
        run_all.main([str(work / 'nowhere')])
    assert 'write it with tools/new_search.py' in capsys.readouterr().err
    assert 'smaller --memory-gb' in run_all.in_one_line(RuntimeError('CUDA out of memory. Tried to allocate'))
    assert run_all.in_one_line(ZeroDivisionError('division by zero')).startswith(
        'ZeroDivisionError: division by zero; mend it'
    )


def test_bars_show_all_steps_at_once() -> None:
    out = io.StringIO()
    with BarsView(Console(file=out, force_terminal=True, width=120)) as view:
        view.begin('supernet')
        ViewHook().show(7, 10, 'loss 0.5')
        ViewHook().show(10, 10, 'loss 0.4')
        view.end()
        view.begin('retraining')
        ViewHook(label='abc seed 1', number=1, runs=2).show(3, 4, '')
    text = out.getvalue()
    assert all(step in text for step in STEPS) and text.count('waiting') >= 3
    assert '10/10' in text and 'loss 0.4' in text and '7/8' in text and 'abc seed 1' in text


def test_without_a_view_the_hook_is_silent(capsys: pytest.CaptureFixture) -> None:
    ViewHook().show(1, 2, 'note')
    assert capsys.readouterr().out == ''
    with View() as view:
        view.begin('supernet')
        ViewHook(label='x').show(2, 2, 'loss 1')
    assert capsys.readouterr().out == 'supernet steps 2/2, ... left, x loss 1\n'
