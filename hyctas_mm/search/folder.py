"""The folder of a search, ``WORK_DIR/search``: begun by a search, opened by all that comes after it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from hyctas_mm.archs import Handover, SearchSpace
from hyctas_mm.errors import NoSuchFile
from hyctas_mm.files import differences, lock_folder, read_json, write_json
from hyctas_mm.search.archive import ARCHIVE, Archive, Candidate, SearchFileError, read_archive
from hyctas_mm.search.driver import SearchError
from hyctas_mm.search.front import FRONT
from hyctas_mm.search.objectives import COSTS, TRAIN_LOSS, Objective, score_of, trained_metric

SETTINGS = 'search.json'
CHOICES = 'choices'
"""Folder of what a search by gradients learned."""
CHOSEN, RANDOM, HANDED_OVER = 'chosen', 'random', 'handed over'
"""Roles of exported networks: from the front, drawn to compare with, made of one from the front."""
POST_PROCESSING_MS = 'post_processing_ms'
"""Noted in the settings when the search knows what its latencies contain beside the network."""


class SearchFolder:
    """The folder of a search.

    A search begins it and writes ``search.json``, ``archive.jsonl``, ``front.json`` and ``subnets/<archid>``. What
    comes after reads these here.

    Args:
        path: The folder; it need not be there.

    Example:
        >>> search = SearchFolder.find('work_dirs/my_search')
        >>> [(c.archid, c.metrics, c.costs) for c in search.candidates()]
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock: IO[str] | None = None

    @classmethod
    def find(cls, path: str | Path) -> SearchFolder:
        """Opens a search by its folder, its archive or its work directory.

        Raises:
            FileNotFoundError: If none of them holds a search.
        """
        path = Path(path)
        for folder in (path.parent if path.name == ARCHIVE else path, path / 'search'):
            if (folder / ARCHIVE).is_file() or (folder / FRONT).is_file():
                return cls(folder)
        raise NoSuchFile(
            f'no search in {path}: expected {ARCHIVE} and {FRONT} there or in {path / "search"}; run '
            'tools/search.py first'
        )

    # While it searches ----

    def begin(self, settings: Mapping[str, Any], resume: bool) -> Archive:
        """Opens the archive for a search, and keeps the folder locked until :meth:`end`.

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
            raise SearchError(
                f'{self.path} holds another search: {"; ".join(differing)}; choose another --work-dir, or delete it'
            )
        archive = Archive(self.path / ARCHIVE)
        if len(archive) and not resume:
            raise SearchError(
                f'{self.path} holds this search with {len(archive)} evaluated candidates; continue it with --resume, '
                'choose another --work-dir, or delete it'
            )
        self.note(here)
        return archive

    def end(self) -> None:
        """Lets others search in the folder."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def note(self, settings: Mapping[str, Any]) -> None:
        """Writes ``search.json``."""
        write_json(self.path / SETTINGS, settings)

    def write_front(self, front: Mapping[str, Any]) -> None:
        """Writes ``front.json``; see :func:`~hyctas_mm.search.front.describe_front`."""
        write_json(self.path / FRONT, front)

    # What it left ----

    @property
    def has_begun(self) -> bool:
        """Whether a search evaluated in it, or was about to."""
        return (self.path / ARCHIVE).exists()

    @cached_property
    def settings(self) -> dict[str, Any]:
        """``search.json``.

        Raises:
            FileNotFoundError: If it is missing, or lacks what a search of this version writes.
        """
        settings = read_json(self.path / SETTINGS)
        missing = [key for key in ('search_space', POST_PROCESSING_MS) if key not in settings]
        if missing:
            raise NoSuchFile(
                f'{self.path / SETTINGS} is missing or names no {" and no ".join(missing)}; it is written by '
                'tools/search.py: '
                'run the search (with --resume it keeps what was evaluated)'
            )
        return settings

    @cached_property
    def space(self) -> SearchSpace:
        """The space that was searched."""
        return SearchSpace.from_dict(self.settings['search_space'])

    @property
    def handover(self) -> Handover:
        """How its exported networks are trained."""
        return Handover.read(self.settings.get('handover'), self.space.base_channels)

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What was searched for."""
        return tuple(Objective(**o) for o in self.settings['objectives'])

    @property
    def score(self) -> str:
        """Name of the objective that is a score, e.g. ``'mIoU'``; of a search by the loss of short trainings the metric
        that its trained networks are compared by.
        """
        name = score_of(self.objectives).name
        return trained_metric(name, {m for c in self.candidates() for m in c.metrics} if name == TRAIN_LOSS else ())

    @property
    def cost(self) -> str:
        """Name of the first cost that was an objective; MACs if none was."""
        return next((o.name for o in self.objectives if o.name in COSTS), 'macs_g')

    def candidates(self) -> tuple[Candidate, ...]:
        """All that was evaluated, in that order, without a torn last line.

        Raises:
            FileNotFoundError: If there is no archive.
            SearchFileError: If a line cannot be read, or there is none.
        """
        path = self.path / ARCHIVE
        if not path.is_file():
            raise NoSuchFile(
                f'{path} is missing; it is written by tools/search.py, one line per evaluated network: run the search'
            )
        candidates = read_archive(path)
        if not candidates:
            raise SearchFileError(f'{path}: no evaluated network in it; run the search, or let it go on with --resume')
        return candidates

    def front(self) -> dict[str, Any]:
        """``front.json``.

        Raises:
            FileNotFoundError: If there is none.
            SearchFileError: If it is no JSON object.
        """
        return read_object(self.path / FRONT)

    def subnets(self) -> list[Path]:
        """Folders of the exported networks as ``front.json`` lists them, then of those added to compare with."""
        chosen = read_json(self.path / FRONT).get('chosen', [])
        there = sorted(path.parent.name for path in (self.path / 'subnets').glob('*/config.py'))
        names = [name for name in chosen if name in there] + [name for name in there if name not in chosen]
        return [self.path / 'subnets' / name for name in names]

    def subnet(self, archid: str, handover: Handover) -> Path:
        """Folder of a network of the space as ``handover`` says that it is trained; it need not be there."""
        return self.path / 'subnets' / (archid if handover == self.handover else f'{archid}-{handover.name}')

    def chosen(self) -> list[Path]:
        """Folders of the exported networks but for those that were added: random ones, and others made of them to be
        trained.

        Raises:
            FileNotFoundError: If there is none.
        """
        found = [
            folder for folder in self.subnets() if read_json(folder / 'results.json').get('role', CHOSEN) == CHOSEN
        ]
        if not found:
            raise NoSuchFile(
                f'no network in {self.path / "subnets"}; let tools/search.py finish (with --resume it continues)'
            )
        return found


def read_object(path: Path) -> dict[str, Any]:
    """Reads a JSON file of a search that holds one object.

    Raises:
        FileNotFoundError: If there is no such file.
        SearchFileError: If it is not JSON or not an object.
    """
    if not path.is_file():
        raise NoSuchFile(
            f'{path} is missing; it is written by tools/search.py: run the search (again, it continues) to get it'
        )
    try:
        data = json.loads(path.read_text(encoding='utf-8'))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise SearchFileError(
            f'{path}: not a JSON file ({error}); delete it and run the command that wrote it again'
        ) from None
    if not isinstance(data, dict):
        raise SearchFileError(
            f'{path}: expected a JSON object, got {type(data).__name__}; delete it and run the command that wrote '
            'it again'
        )
    return data
