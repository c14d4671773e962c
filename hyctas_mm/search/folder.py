"""The folder of a search, ``WORK_DIR/search``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from hyctas_mm.files import differences, lock_folder, read_json, write_json
from hyctas_mm.search.archive import ARCHIVE, Archive
from hyctas_mm.search.driver import SearchError

SETTINGS = 'search.json'


class SearchFolder:
    """The folder of a search.

    Args:
        path: The folder, made when a search begins.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock: IO[str] | None = None

    def begin(self, settings: Mapping[str, Any], resume: bool) -> Archive:
        """Opens the archive for a search, and keeps the folder locked until this object is gone.

        Args:
            settings: What makes it this search and no other, plain JSON types.
            resume: Whether to go on with what is there.

        Raises:
            BlockingIOError: If another process searches in it.
            SearchError: If it holds another search, or this one, begun, and it is not to be resumed.
        """
        self._lock = lock_folder(self.path)
        there = read_json(self.path / SETTINGS)
        here = json.loads(json.dumps(settings))
        if there and (differing := differences({key: there.get(key) for key in here}, here)):
            raise SearchError(f'{self.path} holds another search: {"; ".join(differing)}; choose another --work-dir, or delete it')
        archive = Archive(self.path / ARCHIVE)
        if len(archive) and not resume:
            raise SearchError(
                f'{self.path} holds this search with {len(archive)} evaluated candidates; continue it with --resume, '
                'choose another --work-dir, or delete it'
            )
        self.note(here)
        return archive

    def note(self, settings: Mapping[str, Any]) -> None:
        """Writes ``search.json``."""
        write_json(self.path / SETTINGS, settings)
