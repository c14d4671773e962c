"""Candidates of a search dealt out to processes, each of which evaluates whole ones."""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mmengine.dist import all_gather_object, broadcast_object_list, get_dist_info
from mmengine.logging import MMLogger

from hyctas_mm.archs import Architecture
from hyctas_mm.errors import HyctasError

PENDING = 'pending'


class SearchError(HyctasError, RuntimeError):
    """A search that cannot go on; what was evaluated is kept."""


@dataclass(frozen=True)
class Job:
    """An architecture to evaluate.

    Attributes:
        arch: The architecture.
        costs: Its costs, by which the work is divided.
        limit: Where to give up on it; see :meth:`~hyctas_mm.search.screening.Screening.limit`.
    """

    arch: Architecture
    costs: Mapping[str, float]
    limit: float = math.inf


@dataclass(frozen=True)
class Outcome:
    """What an evaluation gave.

    Attributes:
        metrics: Scores by name; empty if it failed.
        failure: Why it failed, '' if it did not.
        seconds: How long it took.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    failure: str = ''
    seconds: float = 0.0


class Workers:
    """The processes of a search. The first one asks (:meth:`run`), all evaluate, the others serve until it says stop.

    Every process notes its outcomes at once in a file of its own under ``folder/pending``, so that a search that is killed in the middle of a
    generation loses no finished evaluation; the first process clears them when they are in the archive.

    Args:
        score: Evaluates a job.
        folder: The search's folder, which all processes see.
    """

    def __init__(self, score: Callable[[Job], Mapping[str, float]], folder: Path) -> None:
        self._score, self._folder = score, folder / PENDING
        self.rank, self.size = get_dist_info()
        self._known = self._read_pending() if self.rank == 0 else {}

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Outcomes in the order of the jobs; with one process each is evaluated when it is asked for."""
        todo = [job for job in jobs if job.arch.archid not in self._known]
        if self.size > 1 and todo:
            self._exchange(todo)
        for job in jobs:
            archid = job.arch.archid
            yield self._known.pop(archid) if archid in self._known else self._evaluate(job)

    def clear_pending(self) -> None:
        """Forgets the noted outcomes; to be called when they are in the archive."""
        for path in self._folder.glob('*.jsonl'):
            path.unlink()

    def serve(self) -> None:
        """What every process but the first does: evaluates its share until told to stop."""
        while (todo := self._broadcast(None)) is not None:
            self._gather(self._share(todo))

    def stop(self) -> None:
        """Lets the other processes go."""
        if self.size > 1:
            self._broadcast(None)

    def agree(self, settings: Mapping[str, Any], error: Exception | None) -> None:
        """Goes on only if every process prepared the same search.

        Args:
            settings: What must be the same, plain JSON types.
            error: What went wrong in this process, if anything.

        Raises:
            SearchError: On every process, if one of them failed or has other settings.
        """
        own = dict(settings=json.loads(json.dumps(settings)), error=None if error is None else f'{type(error).__name__}: {error}')
        everyone = self._collective(all_gather_object, own) if self.size > 1 else [own]
        if error is not None:
            raise error
        for rank, other in enumerate(everyone):
            if other['error']:
                raise SearchError(f'process {rank} could not start: {other["error"]}. Mend it and start all of them again')
            differing = [k for k in settings if other['settings'].get(k) != everyone[0]['settings'].get(k)]
            if differing:
                first, here = everyone[0]['settings'], other['settings']
                values = '; '.join(f'{k} is {first.get(k)!r} on process 0, {here.get(k)!r} on process {rank}' for k in differing)
                raise SearchError(f'the processes disagree: {values}; start all of them with the same config and files')

    # Evaluation -----------------------------------------------------------------------------------------------------------------

    def _exchange(self, todo: Sequence[Job]) -> None:
        """Deals the jobs out and collects all outcomes."""
        order = sorted(todo, key=lambda job: -job.costs.get('macs_g', 0.0))
        self._broadcast(order)
        for outcomes in self._gather(self._share(order)):
            self._known.update(outcomes)

    def _share(self, todo: Sequence[Job]) -> dict[str, Outcome]:
        """Evaluates this process's part: the largest job left always goes to the process with the least to do."""
        loads = [0.0] * self.size
        outcomes = {}
        for job in todo:
            rank = loads.index(min(loads))
            loads[rank] += job.costs.get('macs_g', 0.0) + 1e-6
            if rank == self.rank:
                archid = job.arch.archid
                outcomes[archid] = outcome = self._evaluate(job)
                self._note(archid, outcome)
        return outcomes

    def _evaluate(self, job: Job) -> Outcome:
        start = time.perf_counter()
        try:
            metrics = dict(self._score(job))
        except Exception as error:  # out of memory, a crash in the data loader: this candidate cannot be had, the next may
            MMLogger.get_current_instance().log(logging.WARNING, f'candidate {job.arch.archid} failed', exc_info=True)
            reason = (str(error) or type(error).__name__).splitlines()[0]
            return Outcome(failure=reason, seconds=time.perf_counter() - start)
        return Outcome(metrics, seconds=time.perf_counter() - start)

    # Notes ----------------------------------------------------------------------------------------------------------------------

    def _note(self, archid: str, outcome: Outcome) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / f'{self.rank}.jsonl').open('a', encoding='utf-8') as file:
            file.write(json.dumps(dict(archid=archid, **asdict(outcome))) + '\n')
            file.flush()
            os.fsync(file.fileno())

    def _read_pending(self) -> dict[str, Outcome]:
        found = {}
        for path in self._folder.glob('*.jsonl'):
            for line in path.read_text(encoding='utf-8').splitlines(keepends=True):
                if line.endswith('\n'):  # else torn: evaluated again
                    data = json.loads(line)
                    archid = data.pop('archid')
                    found[archid] = Outcome(**data)
        return found

    # Between processes ----------------------------------------------------------------------------------------------------------

    def _broadcast(self, jobs: list[Job] | None) -> list[Job] | None:
        box = [jobs]
        self._collective(broadcast_object_list, box)
        return box[0]

    def _gather(self, outcomes: dict[str, Outcome]) -> list[dict[str, Outcome]]:
        gathered: list[dict[str, Outcome]] = self._collective(all_gather_object, outcomes)
        return gathered

    def _collective(self, function: Callable[..., Any], data: Any) -> Any:
        try:
            return function(data)
        except RuntimeError as error:
            raise SearchError(
                f'another process of the search died ({str(error).splitlines()[0]}); every finished evaluation is kept: continue with --resume'
            ) from None
