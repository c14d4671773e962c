"""Candidates of a search dealt out to processes, each of which evaluates whole ones."""

from __future__ import annotations

import gc
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import torch
import torch.distributed as dist
from mmengine.dist import all_gather_object, broadcast_object_list, get_dist_info
from mmengine.logging import MMLogger

from hyctas_mm.archs import Architecture
from hyctas_mm.files import differences
from hyctas_mm.search.archive import Candidate
from hyctas_mm.search.driver import SearchError
from hyctas_mm.search.evaluator import Evaluator, Job, Outcome

PENDING = 'pending'
PATIENCE = timedelta(days=30)
"""How long a process waits for the others: the longest evaluation or latency measurement."""

Group: TypeAlias = dist.ProcessGroup | None


class Workers:
    """An evaluator spread over the processes of a search.

    The first one asks, all evaluate, the others serve until it says stop. Every process notes its outcomes at once in a
    file of its own under ``folder/pending``, so that a search that is killed in the middle of a generation loses no
    finished evaluation; the first process clears them when they are in the archive.

    Args:
        evaluator: What evaluates a process's share; built alike on each.
        folder: The search's folder, which all processes see.
        group: The processes, see :func:`control_group`.
    """

    def __init__(self, evaluator: Evaluator, folder: Path, group: Group = None) -> None:
        self._evaluator, self._folder, self._group = evaluator, folder / PENDING, group
        self.rank, self.size = get_dist_info()
        self._lost = False
        self._known = self._read_pending() if self.rank == 0 else {}

    def identity(self) -> dict[str, Any]:
        """The evaluator's."""
        return self._evaluator.identity()

    def network(self, arch: Architecture) -> Any:
        """The evaluator's."""
        return self._evaluator.network(arch)

    def observe(self, candidates: Sequence[Candidate]) -> None:
        """Tells the evaluator of every process."""
        if self.size > 1:
            self._broadcast(('observe', list(candidates)))
        self._evaluator.observe(candidates)

    def evaluate(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Outcomes in the order of the jobs; with one process each is evaluated when it is asked for."""
        todo = [job for job in jobs if job.arch.archid not in self._known]
        if self.size > 1 and todo:
            self._exchange(todo)
        fresh = self._outcomes([job for job in jobs if job.arch.archid not in self._known])
        for job in jobs:
            yield self._known.pop(job.arch.archid) if job.arch.archid in self._known else next(fresh)

    def clear_pending(self) -> None:
        """Forgets the noted outcomes; to be called when they are in the archive."""
        for path in self._folder.glob('*.jsonl'):
            path.unlink()

    def serve(self) -> None:
        """What every process but the first does: evaluates its share until told to stop."""
        while (order := self._broadcast(None)) is not None:
            what, content = order
            if what == 'observe':
                self._evaluator.observe(content)
            else:
                self._gather(self._share(content))

    def stop(self) -> None:
        """Lets the other processes go; where this one's GPU failed they see it end."""
        if self.size > 1 and not self._lost:
            self._broadcast(None)

    # Evaluation ----

    def _exchange(self, todo: Sequence[Job]) -> None:
        """Deals the jobs out and collects all outcomes."""
        order = sorted(todo, key=lambda job: -job.costs.get('macs_g', 0.0))
        self._broadcast(('evaluate', order))
        for outcomes in self._gather(self._share(order)):
            self._known.update(outcomes)

    def _share(self, todo: Sequence[Job]) -> dict[str, Outcome]:
        """Evaluates this process's part: the largest job left always goes to the process with the least to do."""
        loads = [0.0] * self.size
        share = []
        for job in todo:
            rank = loads.index(min(loads))
            loads[rank] += job.costs.get('macs_g', 0.0) + 1e-6
            if rank == self.rank:
                share.append(job)
        outcomes = {}
        for job, outcome in zip(share, self._outcomes(share), strict=True):
            outcomes[job.arch.archid] = outcome
            self._note(job.arch.archid, outcome)
        return outcomes

    def _outcomes(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """One outcome for each job, timed; what the evaluator raises is the failure of one of them.

        A candidate for which a GPU has no memory is tried once more, with the memory that others left free.

        Raises:
            SearchError: If the GPU failed: what this process asks of it from then on would fail too, whatever the
                candidate.
        """
        left, retried = list(jobs), ''
        while left:
            start, archid = time.perf_counter(), left[0].arch.archid
            try:
                for outcome in self._evaluator.evaluate(tuple(left)):
                    yield outcome if outcome.seconds else replace(outcome, seconds=time.perf_counter() - start)
                    del left[0]
                    start, archid = time.perf_counter(), left[0].arch.archid if left else ''
                if left:
                    raise RuntimeError(f'{type(self._evaluator).__name__} ended before it had judged {archid}')
                return
            except Exception as error:  # a crash in the data loader: this candidate cannot be had, the next may
                reason = (str(error) or type(error).__name__).splitlines()[0]
                lacks_memory = is_out_of_memory(error)
                if not lacks_memory and is_gpu_failure(error):
                    self._lost = True
                    raise SearchError(
                        f'the GPU of process {self.rank} failed at candidate {archid} ({reason}), which is left '
                        'unjudged; every finished evaluation is kept: continue with --resume'
                    ) from error
                if not lacks_memory or archid == retried:
                    MMLogger.get_current_instance().log(logging.WARNING, f'candidate {archid} failed', exc_info=True)
            # outside of the clause: the error holds what the candidate had taken
            if lacks_memory and archid != retried:
                retried = archid
                gc.collect()
                torch.cuda.empty_cache()
                continue
            yield Outcome(failure=reason, seconds=time.perf_counter() - start)
            del left[0]

    # Notes ----

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

    # Between processes ----

    def _broadcast(self, order: tuple[str, list[Any]] | None) -> tuple[str, list[Any]] | None:
        """Sends the first process's order to the others; None says stop."""
        box = [order]
        _collective(broadcast_object_list, box, self._group)
        return box[0]

    def _gather(self, outcomes: dict[str, Outcome]) -> list[dict[str, Outcome]]:
        gathered: list[dict[str, Outcome]] = _collective(all_gather_object, outcomes, self._group)
        return gathered


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a GPU has no memory left."""
    named = isinstance(error, RuntimeError) and 'CUDA' in str(error)
    return isinstance(error, torch.cuda.OutOfMemoryError) or (
        named and any(words in str(error) for words in ('out of memory', 'ALLOC_FAILED'))
    )


def is_gpu_failure(error: BaseException) -> bool:
    """Whether an error is CUDA's own, as of an illegal access: it comes again with whatever the process does next."""
    return isinstance(error, RuntimeError) and any(name in str(error) for name in ('CUDA error', 'cuDNN error'))


def control_group() -> Group:
    """A group of all processes for messages, or None where there is one process; each must ask for it, at once.

    It is gloo's, whatever the group that trains: processes wait in it as long as an evaluation takes, and NCCL's
    watchdog would end them after ten minutes, gloo's own patience after thirty.
    """
    return dist.new_group(backend='gloo', timeout=PATIENCE) if get_dist_info()[1] > 1 else None


def agree(settings: Mapping[str, Any], error: Exception | None, group: Group = None) -> None:
    """Goes on only if every process prepared the same search.

    Args:
        settings: What must be the same, plain JSON types.
        error: What went wrong in this process, if anything.
        group: As for :class:`Workers`.

    Raises:
        Exception: The error of this process.
        SearchError: On every other process, if one of them failed or has other settings.
    """
    own = dict(
        settings=json.loads(json.dumps(settings)), error=None if error is None else f'{type(error).__name__}: {error}'
    )
    everyone = _collective(all_gather_object, own, group) if get_dist_info()[1] > 1 else [own]
    if error is not None:
        raise error
    for rank, other in enumerate(everyone):
        if other['error']:
            raise SearchError(f'process {rank} could not start: {other["error"]}. Mend it and start all of them again')
        if differing := differences(everyone[0]['settings'], other['settings'], ('on process 0', f'on process {rank}')):
            raise SearchError(
                f'the processes disagree: {"; ".join(differing)}; start all of them with the same config '
                'and files, on processors of one kind'
            )


def _collective(function: Callable[..., Any], data: Any, group: Group) -> Any:
    try:
        return function(data, group=group)
    except RuntimeError as error:
        raise SearchError(
            f'another process of the search died ({str(error).splitlines()[0]}); every finished evaluation is kept: '
            'continue with --resume'
        ) from None
