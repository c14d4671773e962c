"""docs/commands.md: every program on the pages is run by a test or listed with the reason why not; and those that no other test runs."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.test_docs.test_pages import PAGES, ROOT, scripts
from tests.test_engine.conftest import config
from tests.test_engine.conftest import run as search
from tests.test_engine.conftest import supernet as supernet

PROGRAM = re.compile(r'(?:tools|benchmarks|docs)/[\w/]+\.(?:py|sh)|\bmim \w+|\b(?:torchrun|srun|sbatch|trtexec|sphinx-build|jupyter)\b')


def listed() -> dict[str, str]:
    """What docs/commands.md says of each program."""
    rows = re.findall(r'^\| `([^`]+)` \| (.+) \|$', (ROOT / 'docs' / 'commands.md').read_text(encoding='utf-8'), re.MULTILINE)
    return dict(rows)


def test_every_program_on_the_pages_is_listed() -> None:
    pages = [*PAGES, *(ROOT / 'configs').rglob('*.md'), ROOT / 'benchmarks' / 'README.md']
    named = {match for page in pages for script in scripts(page) for match in PROGRAM.findall(re.sub(r'(^|\s)#.*', '', script))}
    assert len(named) > 25 and not named - listed().keys()


@pytest.mark.parametrize(('program', 'told'), listed().items())
def test_what_is_said_to_run_it_does(program: str, told: str) -> None:
    found = re.fullmatch(r'`(tests/[\w/]+\.py|\.ci/run)`.*', told)
    if not found:
        assert told.startswith('by hand: '), told
        return
    text = (ROOT / found[1]).read_text(encoding='utf-8')
    name = Path(program.split()[-1]).stem
    assert name.removesuffix('-build') in text


def run(monkeypatch: pytest.MonkeyPatch, tool: str, *arguments: Any) -> None:
    monkeypatch.setattr(sys, 'argv', [tool, *map(str, arguments)])
    monkeypatch.syspath_prepend(str(ROOT / 'tools'))
    try:
        runpy.run_path(str(ROOT / 'tools' / tool), run_name='__main__')
    except SystemExit as end:
        assert not end.code, end


def test_from_a_search_to_a_network(toy_root: Path, supernet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config('subnet', toy_root, tmp_path).dump(str(tmp_path / 'subnet.py'))
    options = {'train_cfg.supernet': str(supernet), 'train_cfg.branches': (1,), 'train_cfg.generations': 1, 'train_cfg.num_chosen': 1}
    cfg = config('search', toy_root, tmp_path / 'work', **options)
    cfg.train_cfg.subnet_config = str(tmp_path / 'subnet.py')
    search(cfg)
    run(monkeypatch, 'retrain.py', tmp_path / 'work', '--random', 1)
    folders = sorted(path.parent for path in (tmp_path / 'work' / 'search' / 'subnets').rglob('retrained.pth'))
    assert len(folders) == 2
    run(monkeypatch, 'report.py', tmp_path / 'work')
    assert 'retrained' in (tmp_path / 'work' / 'search' / 'report.html').read_text()
    run(monkeypatch, 'test.py', folders[0] / 'config.py', folders[0] / 'retrained.pth', '--work-dir', tmp_path / 'tested')
    run(monkeypatch, 'export_onnx.py', folders[0] / 'config.py', folders[0] / 'retrained.pth', '--shape', 64, 128, '--out', tmp_path / 'net.onnx')
    assert (tmp_path / 'net.onnx').stat().st_size > 10_000
