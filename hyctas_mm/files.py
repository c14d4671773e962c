"""Small files, written whole; folders that one process has; trainings that wait while another process times."""

from __future__ import annotations

import fcntl
import json
import os
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, Any

from hyctas_mm.errors import FolderBusy

MACHINE = Path(tempfile.gettempdir()) / f'hyctas_mm-{os.getuid()}.lock'
"""Shared by all processes of a user on a machine: who may compute, see :func:`alone`."""
PATIENCE = 60.0
"""Seconds that steps under way are waited for."""
_LONG = 200
"""Characters of a value that is told."""
_DOOR, _ROOM = 0, 1
"""Bytes of the file that are locked: to begin a step, and to compute."""


def write_text(path: Path, text: str) -> None:
    """Writes a text so that the file is whole at every instant, whatever interrupts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix('.tmp')
    temporary.write_text(text, encoding='utf-8')
    os.replace(temporary, path)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes JSON as :func:`write_text` does."""
    write_text(path, json.dumps(content, indent=1))


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object; empty if there is no such file."""
    content: dict[str, Any] = json.loads(path.read_text(encoding='utf-8')) if path.is_file() else {}
    return content


def differences(there: Any, here: Any, places: tuple[str, str] = ('there', 'here'), path: str = '') -> list[str]:
    """Where two plain objects differ, each as ``a.b is 1 there, 2 here``; of long values the beginning."""
    if isinstance(there, dict) and isinstance(here, dict):
        keys = sorted({*there, *here})
        return [
            text
            for key in keys
            for text in differences(there.get(key), here.get(key), places, f'{path}.{key}' if path else key)
        ]
    return [] if there == here else [f'{path} is {_short(there)} {places[0]}, {_short(here)} {places[1]}']


def _short(value: Any) -> str:
    return textwrap.shorten(repr(value), _LONG, placeholder=' ...')


def lock_folder(folder: Path) -> IO[str]:
    """Locks a folder for this process, until the file returned is closed or the process ends in whatever way.

    Raises:
        BlockingIOError: If another process has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / '.lock').open('a+')
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        owner = file.read().strip() or 'unknown'
        file.close()
        raise FolderBusy(
            f'{folder} is in use by another process ({owner}); wait for it, or choose another --work-dir'
        ) from None
    file.truncate(0)
    file.write(f'process {os.getpid()} on {os.uname().nodename}')
    file.flush()
    return file


@contextmanager
def alone() -> Iterator[None]:
    """For what is timed: while it lasts, trainings of other processes do not begin a step, and other timings wait.

    It begins when the steps that are under way have ended, or after :data:`PATIENCE`: a training that was stopped
    (Ctrl-Z) within a step never ends it, and does not compute either. Not to be nested. A killed process holds nothing,
    nor do its children.
    """
    _lock(fcntl.LOCK_EX, _DOOR)
    try:
        _wait_for_steps()
        yield
    finally:
        _lock(fcntl.LOCK_UN, _DOOR)


def begin_step() -> None:
    """For a training: waits while another process is :func:`alone`, and keeps others from that until
    :func:`end_step`.
    """
    end_step()  # a step that failed has not said so, and would be waited for
    _lock(fcntl.LOCK_SH, _DOOR)
    _lock(fcntl.LOCK_SH, _ROOM)
    _lock(fcntl.LOCK_UN, _DOOR)


def end_step() -> None:
    """After a step, or when there will be no further one."""
    _lock(fcntl.LOCK_UN, _ROOM)


def _wait_for_steps() -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            _lock(fcntl.LOCK_EX | fcntl.LOCK_NB, _ROOM)
        except BlockingIOError:
            time.sleep(0.01)
        else:
            _lock(fcntl.LOCK_UN, _ROOM)
            return
    print(f'a training of another process has not ended its step in {PATIENCE:g} s; timing beside it', file=sys.stderr)


def _lock(how: int, place: int) -> None:
    fcntl.lockf(_machine(), how, 1, place)  # of the process, so that no child that it forked holds it too


@cache
def _machine() -> int:
    """Open until the process ends: closing any descriptor of the file would give up its locks."""
    return os.open(MACHINE, os.O_RDWR | os.O_CREAT, 0o600)
