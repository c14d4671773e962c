"""The notebook runs from top to bottom, and is kept without outputs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

NOTEBOOK = Path(__file__).parents[2] / 'docs' / 'quickstart.ipynb'


def code_cells() -> list[dict[str, Any]]:
    return [cell for cell in json.loads(NOTEBOOK.read_text(encoding='utf-8'))['cells'] if cell['cell_type'] == 'code']


def test_it_is_kept_without_outputs() -> None:
    assert all(cell['outputs'] == [] and cell['execution_count'] is None for cell in code_cells())


def test_it_runs_from_top_to_bottom(tmp_path: Path) -> None:
    """Trainings are of four steps here."""
    program = '\n'.join(''.join(cell['source']) for cell in code_cells())
    assert program.count('max_iters = 40') == 1 == program.count('iter_40.pth')
    program = program.replace('max_iters = 40', 'max_iters = 4').replace('iter_40.pth', 'iter_4.pth')
    (tmp_path / 'notebook.py').write_text(program, encoding='utf-8')
    environment = os.environ | dict(MPLBACKEND='Agg', OMP_NUM_THREADS='1')
    done = subprocess.run(
        [sys.executable, 'notebook.py'], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    folder = tmp_path / 'work_dirs' / 'notebook' / 'search'
    assert done.stdout.strip().splitlines()[-1] == str(folder / 'report.html')
    chosen = json.loads((folder / 'front.json').read_text())['chosen']
    assert chosen and all((folder / 'subnets' / archid / 'retrained.pth').is_file() for archid in chosen)
    assert len((folder / 'archive.jsonl').read_text().splitlines()) == 8
