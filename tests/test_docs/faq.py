"""The table of errors in docs/faq.md, and the functions that provoke them."""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_jobs import config, run

ROOT = Path(__file__).parents[2]
FAQ = ROOT / 'docs' / 'faq.md'
HEAD = ['id', 'what you did', 'message', 'cure']
ANYTHING = '…'


@dataclass(frozen=True)
class Row:
    """A row of the table. ``message`` is the text in backticks."""

    name: str
    did: str
    message: str
    cure: str

    def matches(self, text: str) -> bool:
        """Whether the message is the row's, where ``…`` is anything."""
        return re.fullmatch('.*'.join(map(re.escape, self.message.split(ANYTHING))), text, re.DOTALL) is not None


def read_rows(text: str) -> list[Row]:
    """The rows of all tables with the columns of errors."""
    rows, inside = [], False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip('|').split(' | ')] if line.startswith('| ') else []
        if cells == HEAD:
            inside = True
        elif inside and cells:
            name, did, message, cure = cells
            rows.append(Row(name, did, message.removeprefix('`').removesuffix('`'), cure))
        elif not line.startswith('|---'):
            inside = False
    return rows


@dataclass(frozen=True)
class Place:
    """Where an error is provoked.

    Attributes:
        tmp_path: An empty folder.
        toy_root: Toy streets.
        supernet: Checkpoint of an untrained supernet that fits the tests' search.
        begun: Work dir of a finished search; not to be changed.
        monkeypatch: pytest's.
    """

    tmp_path: Path
    toy_root: Path
    supernet: Path
    begun: Path
    monkeypatch: pytest.MonkeyPatch

    def search(self, work_dir: Path | None = None, **options: Any) -> None:
        """Runs a tiny search, as ``tools/search.py`` does."""
        search(self.toy_root, self.supernet, work_dir or self.tmp_path, **options)

    def copy_of_begun(self) -> Path:
        """The work dir of a finished search, to be changed."""
        return Path(shutil.copytree(self.begun, self.tmp_path / 'begun'))


def search(toy_root: Path, supernet: Path, work_dir: Path, **options: Any) -> None:
    """Runs a tiny search."""
    small = {
        'train_cfg.supernet': str(supernet),
        'train_cfg.branches': (1,),
        'train_cfg.generations': 1,
        'train_cfg.num_chosen': 1,
    }
    run(config('search', toy_root, work_dir, **(small | options)))


Provoker = Callable[[Place], str | None]
PROVOKERS: dict[str, Provoker] = {}


def provokes(name: str) -> Callable[[Provoker], Provoker]:
    """Registers what provokes the error of this row: a function that raises it, or returns what a command printed."""

    def register(function: Provoker) -> Provoker:
        assert name not in PROVOKERS, f'{name} is provoked twice'
        PROVOKERS[name] = function
        return function

    return register


def message_of(function: Provoker, place: Place) -> str:
    """The message that a person sees."""
    try:
        printed = function(place)
    except (Exception, SystemExit) as error:
        return str(error)
    assert printed is not None, 'nothing went wrong'
    return printed


def said(place: Place, tool: str, *args: object, status: int = 2) -> str:
    """Runs a command of ``tools/`` in this process; what it says of a mistake, without the usage and ``error: ``."""
    place.monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')
    place.monkeypatch.syspath_prepend(str(ROOT / 'tools'))
    place.monkeypatch.setattr(sys, 'argv', [tool, *map(str, args)])
    printed = io.StringIO()
    with contextlib.redirect_stderr(printed), pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / 'tools' / f'{tool}.py'), run_name='__main__')
    assert ended.value.code == status
    text = printed.getvalue().strip()
    return text.partition('error: ')[2] if 'error: ' in text else text


def needs_mmdet() -> None:
    """Leaves a row out where panoptic segmentation cannot be."""
    pytest.importorskip('mmcv._ext', reason='mmdet needs mmcv with compiled operators')
