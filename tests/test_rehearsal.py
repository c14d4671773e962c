"""The paper's commands at toy size: how they are read and run, and all of them."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from hyctas_mm.rehearsal.page import Line, read_lines
from tests import forks

ROOT = Path(__file__).parents[1]
PAGE = """
```bash
A=tools B=two    # where
run() { torchrun --nproc_per_node="$1" "${@:2}" --launcher pytorch; }
# Table 1
run 4 $A/train.py \\
  "a $B.py"   # once
python -m zipfile -c $B.zip
```
`python not.py`
```bash
N=NETWORK M=NETWORK
python $A/x.py $N $M
```
"""


@pytest.fixture(scope='module')
def tool() -> dict[str, Any]:
    """What tools/rehearse_paper.py defines."""
    return runpy.run_path(str(ROOT / 'tools' / 'rehearse_paper.py'))


def test_commands_are_read_as_bash_does(tmp_path: Path) -> None:
    (tmp_path / 'page.md').write_text(PAGE)
    train, pack, last = read_lines(tmp_path / 'page.md')
    assert (train.result, pack.result, last.result) == ('Table 1', 'Table 1', '')
    assert train.arguments() == [
        'torchrun',
        '--nproc_per_node=4',
        'tools/train.py',
        'a two.py',
        '--launcher',
        'pytorch',
    ]
    assert pack.arguments() == ['python', '-m', 'zipfile', '-c', 'two.zip']
    assert last.arguments(['first', 'second']) == ['python', 'tools/x.py', 'first', 'second']


@pytest.mark.parametrize('text', ['rm -r x', 'python $UNKNOWN', 'python "'])
def test_other_commands_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match='expected one command of python or torchrun'):
        Line('', text).arguments()


def test_what_is_done_is_not_done_again(tool: dict[str, Any], tmp_path: Path) -> None:
    rehearsal = tool['Rehearsal'](tmp_path, 1)
    (tmp_path / 'lines').mkdir()
    (tmp_path / 'file').touch()
    line = Line('', 'python -m zipfile -c $NAME file', ('NAME=out.zip',))
    assert [rehearsal.run(line, '1') for _ in range(2)] == ['done', 'was done']
    assert (tmp_path / 'out.zip').is_file()
    assert rehearsal.run(Line('', 'python -m zipfile -c other.zip file'), '1') == 'done', 'another command'
    failed = rehearsal.run(Line('', 'python -m zipfile -l nothing.zip'), '2')
    assert failed.startswith('FAILED with status 1') and "No such file or directory: 'nothing.zip'" in failed
    assert rehearsal.run(line, '2') == 'done'


def test_what_was_stopped_goes_on(tool: dict[str, Any], tmp_path: Path) -> None:
    rehearsal = tool['Rehearsal'](tmp_path, 2)
    for folder in ('lines', 'tools'):
        (tmp_path / folder).mkdir()
    (tmp_path / 'tools' / 'train.py').write_text('import sys; sys.exit("--resume" not in sys.argv)')
    line = Line('', 'torchrun --nproc_per_node=4 tools/train.py')
    rehearsal.launched.add('tools/test.py')
    assert rehearsal.run(line, '1').startswith('FAILED') and rehearsal.run(line, '1') == 'done'
    assert rehearsal.run(Line('', f'{line.text} changed'), '1').startswith('FAILED'), 'another command begins anew'


def test_tables_of_nothing_are_of_dashes(tmp_path: Path) -> None:
    tables = runpy.run_path(str(ROOT / 'tools' / 'paper_tables.py'))
    text = tables['markdown'](tables['Results'](tmp_path))
    assert '| HyCTAS-L | – (63.3) | – (34.0) | – (81.3) |' in text and '| 372k, drop path 0.2 | – (73.5) |' in text


def rehearse(folder: Path) -> list[str]:
    """How each command ended."""
    done = forks.run('tools/rehearse_paper.py', '--processes', 2, '--once', '--work-dir', folder, patience_s=3600)
    assert done.returncode == 0, done.stdout
    return re.findall(r'^    [\d.]+ s, (.*)$', done.stdout, re.MULTILINE)


@pytest.mark.slow
def test_the_paper_at_toy_size(tmp_path: Path) -> None:
    """Every command of docs/reproduce.md, and tables in which nothing is missing but what cannot be."""
    pytest.importorskip('mmcv._ext', reason='mmdet needs mmcv with compiled operators')
    assert rehearse(tmp_path) == ['done'] * len(read_lines(ROOT / 'docs' / 'reproduce.md'))
    text = (tmp_path / 'work_dirs' / 'paper.md').read_text()
    tables = {title: body for title, body in re.findall(r'^## (\w+ \d?).*?\n(.*?)(?=^## |\Z)', text, re.M | re.S)}
    assert tables.keys() == {*(f'Table {n}' for n in (1, 3, 4, 5, 6, 7, 8, 9)), 'Figures '}
    rows = {
        title: [row.split(' | ') for row in re.findall(r'^\| (.*) \|$', body, re.M)[2:]]
        for title, body in tables.items()
    }
    # of networks of the search nothing was measured, of some no distortion is to be had, and one test has no FPS
    bare = [row for title, found in rows.items() for row in found if '–' in ' '.join(row)]
    may_be = ('searched, ', 'shift SA', 'SA -> ', 'conv -> ', 'HyCTAS-L, several')
    assert all(row[0].startswith(may_be) for row in bare), bare
    assert [row[0] for row in rows['Table 3']][:3] == ['HyCTAS-S', 'HyCTAS-M', 'HyCTAS-L']
    assert sum(row[0].startswith('searched') for row in rows['Table 3']) >= 2
    assert len(rows['Table 7']) in (2, 4, 6) and len(rows['Table 9']) == 4
    assert rows['Figures '][-1][1].startswith('3: ')
