"""Every evaluated candidate, one JSON line each, append-only: the memory of a search, and all that a resumed one
needs.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hyctas_mm.archs import Architecture
from hyctas_mm.errors import BadValue

ARCHIVE = 'archive.jsonl'


class SearchFileError(BadValue):
    """A file of the search that cannot be used; the message names the file, the place and what to do."""


@dataclass(frozen=True)
class Candidate:
    """One evaluated (or rejected) network, a line of ``archive.jsonl``.

    Attributes:
        index: Place in the order of evaluation.
        generation: Generation of the search, from 0.
        track: Number of branches searched separately, None in a joint search.
        arch: The network.
        metrics: Scores by name.
        costs: Costs by name, units in the names.
        violations: Why it is infeasible; empty if it is feasible.
        seconds: Time of its evaluation.
    """

    index: int
    generation: int
    track: int | None
    arch: Architecture
    metrics: Mapping[str, float] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)
    violations: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def archid(self) -> str:
        """Id of the network."""
        return self.arch.archid

    def value(self, name: str) -> float | None:
        """The finite metric or cost ``name``, None if the record has none."""
        value = self.metrics.get(name, self.costs.get(name))
        return value if value is not None and math.isfinite(value) else None

    def to_dict(self) -> dict[str, Any]:
        """The line of the archive."""
        return {
            'index': self.index,
            'generation': self.generation,
            'track': self.track,
            'archid': self.archid,
            'metrics': dict(self.metrics),
            'costs': dict(self.costs),
            'violations': list(self.violations),
            'seconds': round(self.seconds, 3),
            'arch': self.arch.to_dict(),
        }


class Archive:
    """The archive of a running search.

    Opening cuts off a torn last line: the search was killed while it wrote it, and evaluates that network again. Every
    line carries its place and a check of itself, so that an archive edited by hand is recognised: a search goes on from
    nothing but what it wrote.

    Args:
        path: The file; made if missing.

    Raises:
        SearchFileError: If a line other than the last cannot be read or is not as it was written; it is named.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._candidates: dict[str, Candidate] = {}
        if self.path.exists():
            with self.path.open('rb+') as file:
                file.truncate(_whole_bytes(file.read()))
            _check_lines(self.path)
            self._candidates = {c.archid: c for c in read_archive(self.path)}

    def __len__(self) -> int:
        return len(self._candidates)

    def __iter__(self) -> Iterator[Candidate]:
        return iter(self._candidates.values())

    def get(self, archid: str) -> Candidate | None:
        """The candidate of this id if it was evaluated."""
        return self._candidates.get(archid)

    def append(self, candidate: Candidate) -> None:
        """Writes a candidate to the file and to the disk before it counts.

        Raises:
            OSError: If it cannot be written (a full disk); the file is as before then.
        """
        content = candidate.to_dict()
        with self.path.open('ab') as file:
            size = file.tell()
            try:
                file.write(json.dumps(content | {'check': _check_of(content)}, sort_keys=True).encode() + b'\n')
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                os.truncate(self.path, size)
                raise
        self._candidates[candidate.archid] = candidate


def _check_of(content: Mapping[str, Any]) -> str:
    return hashlib.sha1(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def _check_lines(path: Path) -> None:
    for number, line in enumerate(path.read_bytes().splitlines()):
        try:
            content = json.loads(line)
        except (json.JSONDecodeError, UnicodeDecodeError):
            return  # told by read_archive
        written = content.pop('check', None) if isinstance(content, dict) else None
        if written != _check_of(content) or content['index'] != number:
            raise SearchFileError(
                f'{path}, line {number + 1}: not as the search wrote it (edited by hand, or lines before it were); '
                'restore it, or remove it and all after it'
            )


def _whole_bytes(content: bytes) -> int:
    """Number of leading bytes that are whole lines."""
    return content.rfind(b'\n') + 1


def read_archive(path: Path) -> tuple[Candidate, ...]:
    """The candidates of an archive in order of evaluation, without a torn last line.

    Raises:
        SearchFileError: If a line cannot be read; file and line are named.
    """
    lines = path.read_bytes().split(b'\n')
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    candidates = []
    for number, line in numbered:
        try:
            data = json.loads(line)
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            if number == len(lines):  # no newline after it: torn
                break
            raise SearchFileError(
                f'{path}, line {number}: not JSON ({error}); only the last line may be incomplete: remove line '
                f'{number} and all after it'
            ) from None
        candidates.append(_read_candidate(data, f'{path}, line {number}'))
    return tuple(sorted(candidates, key=lambda c: c.index))


def _read_candidate(data: Any, where: str) -> Candidate:
    if not isinstance(data, dict) or 'arch' not in data:
        raise SearchFileError(
            f'{where}: expected an object with "arch", got {str(data)[:80]}; remove the line and all after it'
        )
    arch = read_arch(data['arch'], where)
    try:
        candidate = Candidate(
            index=int(data['index']),
            generation=int(data['generation']),
            track=None if data.get('track') is None else int(data['track']),
            arch=arch,
            metrics={str(k): float(v) for k, v in data.get('metrics', {}).items()},
            costs={str(k): float(v) for k, v in data.get('costs', {}).items()},
            violations=tuple(map(str, data.get('violations', ()))),
            seconds=float(data.get('seconds', 0.0)),
        )
    except KeyError as error:
        raise SearchFileError(f'{where}: the key {error} is missing; remove the line and all after it') from None
    except (TypeError, ValueError, AttributeError) as error:
        raise SearchFileError(
            f'{where}: a value is not of the expected type ({error}); remove the line and all after it'
        ) from None
    if data.get('archid', arch.archid) != arch.archid:
        raise SearchFileError(
            f'{where}: "archid" is {data["archid"]!r} but its "arch" has the id {arch.archid}; the line was edited: '
            'remove it and all after it'
        )
    return candidate


def read_arch(data: Any, where: str) -> Architecture:
    """Reads a network of the search, a user's own ops among its cells.

    Raises:
        ArchitectureError: Naming ``where`` and each value that is wrong.
    """
    return Architecture.from_dict(data, source=where, any_op=True)
