"""Small files of JSON, written whole; folders that one process has."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from hyctas_mm.errors import FolderBusy


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes JSON so that the file is whole at every instant, whatever interrupts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix('.tmp')
    temporary.write_text(json.dumps(content, indent=1), encoding='utf-8')
    os.replace(temporary, path)


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object; empty if there is no such file."""
    content: dict[str, Any] = json.loads(path.read_text(encoding='utf-8')) if path.is_file() else {}
    return content


def differences(there: Any, here: Any, places: tuple[str, str] = ('there', 'here'), path: str = '') -> list[str]:
    """Where two plain objects differ, each as ``a.b is 1 there, 2 here``."""
    if isinstance(there, dict) and isinstance(here, dict):
        keys = sorted({*there, *here})
        return [
            text
            for key in keys
            for text in differences(there.get(key), here.get(key), places, f'{path}.{key}' if path else key)
        ]
    return [] if there == here else [f'{path} is {there!r} {places[0]}, {here!r} {places[1]}']


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
