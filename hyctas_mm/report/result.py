"""The files of a search, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hyctas_mm.archs import Handover
from hyctas_mm.search.archive import ARCHIVE, Candidate, SearchFileError
from hyctas_mm.search.folder import SearchFolder
from hyctas_mm.search.front import FRONT
from hyctas_mm.search.objectives import Objective, trained_metric, unit_of

_ANEW = f'run tools/search.py with --resume, which writes {FRONT} anew'


@dataclass(frozen=True)
class SearchResult:
    """Everything that a search left in ``archive.jsonl`` and ``front.json``.

    Attributes:
        path: The folder of the search.
        objectives: What was searched for, at least two.
        candidates: Every record, in order of evaluation.
        front: Ids of the non-dominated networks over all tracks.
        fronts_by_track: Ids of each track's own front; one entry, None, in a joint search.
        chosen: Ids of the networks that were exported.
        facts: The rest of ``front.json`` (dataset, device, seconds ...).
    """

    path: Path
    objectives: tuple[Objective, ...]
    candidates: tuple[Candidate, ...]
    front: tuple[str, ...]
    fronts_by_track: Mapping[int | None, tuple[str, ...]]
    chosen: tuple[str, ...]
    facts: Mapping[str, Any]

    @cached_property
    def by_id(self) -> dict[str, Candidate]:
        """Records by the id of their network; of those with equal ids the first that is scored, else the first."""
        return {c.archid: c for c in (*reversed(self.candidates), *reversed(self.scored))}

    @property
    def handover(self) -> Handover:
        """How its networks are trained."""
        return Handover(int(self.facts.get('base_channels', 8)), self.facts.get('low_level'))

    @property
    def tracks(self) -> list[int | None]:
        """Tracks of the records, ascending, the joint one last."""
        return sorted({c.track for c in self.candidates}, key=lambda t: (t is None, t or 0))

    @property
    def axes(self) -> tuple[Objective, Objective]:
        """The two objectives of the figures as (x, y): of the first two, y is the first that is to be large."""
        first, second = self.objectives[:2]
        return (first, second) if first.direction == 'min' and second.direction == 'max' else (second, first)

    @cached_property
    def trained_metric(self) -> str:
        """Name of the metric that trained networks are compared by."""
        return trained_metric(self.axes[1].name, {name for c in self.candidates for name in c.metrics})

    @cached_property
    def last_generation(self) -> int:
        """The last generation of any track, from 0."""
        return max(c.generation for c in self.candidates)

    @cached_property
    def costs(self) -> tuple[Objective, ...]:
        """Every cost that the records have, in the order of a table."""
        names = {name for c in self.candidates for name in c.costs}
        return tuple(Objective(name, 'min', unit_of(name)) for name in sorted(names, key=cost_order))

    @cached_property
    def scored(self) -> tuple[Candidate, ...]:
        """Feasible records with a value for both axes."""
        x, y = self.axes
        return tuple(
            c
            for c in self.candidates
            if not c.violations and c.value(x.name) is not None and c.value(y.name) is not None
        )


def cost_order(name: str) -> tuple[int, str]:
    """Key that sorts costs: sizes first, then times, then others by name."""
    order = ['params_m', 'macs_g', 'file_mb', 'run_mb', 'memory_gb', 'latency_ms']
    return (order.index(name) if name in order else len(order), name)


def load_search(search_dir: str | Path) -> SearchResult:
    """Reads a search.

    Args:
        search_dir: ``WORK_DIR/search`` or ``WORK_DIR``.

    Raises:
        FileNotFoundError: If a file is missing.
        SearchFileError: If a file cannot be used; the file and line are named.
    """
    search = SearchFolder.find(search_dir)
    folder, front, candidates = search.path, search.front(), search.candidates()
    front_path = folder / FRONT
    objectives = _read_objectives(front.get('objectives'), front_path)
    _check_objectives(objectives, candidates, folder / ARCHIVE)
    by_track = _get(front, 'fronts_by_track', Mapping, front_path, {})
    result = SearchResult(
        path=folder,
        objectives=objectives,
        candidates=candidates,
        front=_ids(_get(front, 'front', list, front_path), 'front', front_path),
        fronts_by_track={_track(k): _ids(v, f'fronts_by_track[{k!r}]', front_path) for k, v in by_track.items()},
        chosen=_ids(_get(front, 'chosen', list, front_path, []), 'chosen', front_path),
        facts={k: v for k, v in front.items() if k not in ('objectives', 'front', 'fronts_by_track', 'chosen')},
    )
    _check_ids(result, front_path)
    return result


def _read_objectives(data: Any, path: Path) -> tuple[Objective, ...]:
    if not isinstance(data, list) or len(data) < 2:
        raise SearchFileError(
            f'{path}: "objectives" must list at least two {{"name", "direction", "unit"}}, got {data!r}; {_ANEW}'
        )
    found = []
    for item in data:
        if (
            not isinstance(item, dict)
            or not isinstance(item.get('name'), str)
            or item.get('direction') not in ('max', 'min')
        ):
            raise SearchFileError(
                f'{path}: objective {item!r}; expected {{"name": text, "direction": "max" or "min", "unit": '
                f'text}}; {_ANEW}'
            )
        found.append(Objective(item['name'], item['direction'], str(item.get('unit') or '')))
    return tuple(found)


def _check_objectives(objectives: tuple[Objective, ...], candidates: tuple[Candidate, ...], path: Path) -> None:
    feasible = [c for c in candidates if not c.violations]
    for objective in objectives:
        if feasible and all(c.value(objective.name) is None for c in feasible):
            known = sorted({name for c in feasible for name in (*c.metrics, *c.costs)})
            raise SearchFileError(
                f'{path}: no record has a value for the objective {objective.name!r} (they have: '
                f'{", ".join(known)}); {_ANEW}'
            )


def _check_ids(result: SearchResult, path: Path) -> None:
    fronts = [i for ids in result.fronts_by_track.values() for i in ids]
    unknown = sorted({*result.front, *result.chosen, *fronts} - result.by_id.keys())
    if unknown:
        raise SearchFileError(
            f'{path}: names {", ".join(unknown[:5])}, which {ARCHIVE} does not hold; the two are of different '
            f'searches: {_ANEW}'
        )
    scored = {c.archid for c in result.scored}
    unscored = [i for i in dict.fromkeys((*result.front, *result.chosen, *fronts)) if i not in scored]
    if unscored:
        names = ' and '.join(o.name for o in result.axes)
        raise SearchFileError(
            f'{path}: names {", ".join(unscored[:5])}, but {ARCHIVE} has no feasible record of it with {names}; {_ANEW}'
        )


def _get(data: Mapping[str, Any], key: str, kind: type, path: Path, default: Any = None) -> Any:
    value = data.get(key, default)
    if not isinstance(value, kind):
        raise SearchFileError(f'{path}: "{key}" must be a {kind.__name__.lower()}, got {value!r}; {_ANEW}')
    return value


def _ids(data: Any, key: str, path: Path) -> tuple[str, ...]:
    if not isinstance(data, list) or not all(isinstance(i, str) for i in data):
        raise SearchFileError(f'{path}: "{key}" must be a list of archids, got {data!r}; {_ANEW}')
    return tuple(data)


def _track(key: str) -> int | None:
    return int(key) if key.isdigit() else None
