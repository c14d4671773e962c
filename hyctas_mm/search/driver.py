"""A search: an algorithm proposes, prices and bounds filter, an evaluator judges, the archive remembers."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hyctas_mm.archs import Architecture, SearchSpace
from hyctas_mm.errors import BadValue, HyctasError
from hyctas_mm.search.algorithms import SearchProblem, build_algorithm
from hyctas_mm.search.archive import Archive, Candidate
from hyctas_mm.search.demands import Demands
from hyctas_mm.search.evaluator import Evaluator, Job, Outcome
from hyctas_mm.search.objectives import COSTS
from hyctas_mm.search.screening import Screening

FAILURES_IN_A_ROW = 3
"""Failing candidates after which a search stops: the fault is not theirs."""

Prices = Callable[[Architecture], Mapping[str, float]]


class SearchError(HyctasError, RuntimeError):
    """A search that cannot go on; what was evaluated is kept."""


@dataclass(frozen=True)
class Generation:
    """The candidates of one generation.

    Attributes:
        track: Number of branches searched separately, None in a joint search.
        index: From 0.
        candidates: In the order in which they were asked for, those among them that an earlier generation had too.
    """

    track: int | None
    index: int
    candidates: tuple[Candidate, ...]


class SearchDriver:
    """Searches track by track, generation by generation.

    Its only state is the archive. A driver with an archive that another one of the same arguments began asks for the
    same candidates again, finds them in it, and goes on where the other one was stopped, at whatever instant, to the
    same end.

    Args:
        space: The search space.
        algorithm: Config of what proposes, e.g. ``dict(type='NSGA2')``; see
            :func:`~hyctas_mm.search.algorithms.build_algorithm`.
        evaluator: What judges.
        prices: Costs of an architecture, before it is evaluated.
        demands: Objectives, and bounds; those on costs are checked before evaluation.
        archive: Remembers what was evaluated. Drivers may share one: each architecture is then evaluated once for all
            of them.
        population: Candidates of a generation.
        seed: Seed of the algorithm.
        screening: The rule by which candidates are given up, None for none. What is given up ranks last.
        watch: Called with each candidate as soon as it is in the archive, or found there.

    Attributes:
        proposed: How many architectures the bounds on costs have seen.
        excluded: How many of them each bound refused.
        seconds: How long pricing and judging took; all else is the search's own.

    Example:
        >>> driver = SearchDriver(space, dict(type='NSGA2'), evaluator, prices, demands, Archive('archive.jsonl'))
        >>> for generation in itertools.islice(driver.search(track=2), 20):
        ...     print(generation.index, len(generation.candidates))
    """

    def __init__(
        self,
        space: SearchSpace,
        algorithm: Mapping[str, Any],
        evaluator: Evaluator,
        prices: Prices,
        demands: Demands,
        archive: Archive,
        population: int = 40,
        seed: int = 0,
        screening: Screening | None = None,
        watch: Callable[[Candidate], object] = lambda candidate: None,
    ) -> None:
        self.space, self.algorithm, self.evaluator, self.prices = space, algorithm, evaluator, prices
        self.demands, self.archive, self.population, self.seed = demands, archive, population, seed
        self.screening, self.watch = screening, watch
        self.proposed, self.seconds, self._failures = 0, 0.0, 0
        self.excluded: Counter[str] = Counter()

    def search(self, track: int | None) -> Iterator[Generation]:
        """Generations of a track until no new candidate can be made: the caller stops when it has enough.

        A generation is what the algorithm asks for at once. Where it asks for single candidates, because it learns from
        each, as many as the population make a generation.

        Raises:
            SearchError: If one candidate after another fails, or the evaluator does not give an objective.
            ValueError: If the prices lack a cost that is demanded.
        """
        weights = tuple(o.weight for o in self.demands.objectives)
        problem = SearchProblem(self.space, track, weights, self.population, self.seed, self.accept, self._known)
        algorithm = build_algorithm(self.algorithm, problem)
        for index in itertools.count():
            found: list[Candidate] = []
            while len(found) < self.population and (archs := algorithm.ask()):
                candidates = self.judge(archs, track, index).candidates
                algorithm.tell(
                    [self.demands.minimised(c) for c in candidates], [self.demands.violation(c) for c in candidates]
                )
                found += candidates
                if len(archs) > 1:
                    break
            if not found:
                return
            yield Generation(track, index, tuple(found))

    def judge(self, archs: Sequence[Architecture], track: int | None, index: int) -> Generation:
        """Evaluates architectures, whoever proposes them, as the generation ``index`` of a track."""
        return Generation(track, index, tuple(self._candidates(archs, track, index)))

    def accept(self, arch: Architecture) -> bool:
        """The filter before evaluation: bounds on costs. Counts what each bound excludes."""
        self.proposed += 1
        bounds = [b for b in self.demands.bounds if b.name in COSTS]
        costs = self._price(arch) if bounds else {}
        failed = [b.name for b in bounds if b.violation(costs[b.name]) > 0]
        self.excluded.update(failed)
        return not failed

    def exclusions(self) -> str:
        """What the bounds on costs excluded, for a person."""
        told = (
            ', '.join(f'{name} excluded {count}' for name, count in self.excluded.most_common())
            or 'nothing was excluded'
        )
        return f'of {self.proposed} proposed architectures {told}'

    def check_feasible(self) -> None:
        """Refuses an archive without a feasible candidate.

        Raises:
            SearchError: Saying what excluded them.
        """
        if not len(self.archive):
            raise SearchError(
                f'no candidate satisfies the bounds: {self.exclusions()}. Loosen them in train_cfg.bounds'
            )
        if all(c.violations for c in self.archive):
            reasons = Counter(v.split(' ')[0] if 'demanded' in v else v for c in self.archive for v in c.violations)
            told = ', '.join(f'{name}: {count}' for name, count in reasons.most_common())
            raise SearchError(
                f'none of {len(self.archive)} evaluated candidates is feasible (excluded by {told}); loosen '
                'train_cfg.bounds'
            )

    def _price(self, arch: Architecture) -> Mapping[str, float]:
        costs = self.prices(arch)
        wanted = {o.name for o in self.demands.objectives} | {b.name for b in self.demands.bounds}
        if unknown := sorted((wanted & COSTS.keys()) - costs.keys()):
            raise BadValue(
                f'no {", ".join(unknown)} of architectures is known here; known are {", ".join(sorted(costs))}'
            )
        return costs

    def _known(self, arch: Architecture) -> list[float | None]:
        """The objectives that are costs, smaller is better; None for the others."""
        costs = self._price(arch)
        return [o.sign * costs[o.name] if o.name in COSTS else None for o in self.demands.objectives]

    def _candidates(self, archs: Sequence[Architecture], track: int | None, generation: int) -> Iterator[Candidate]:
        """Candidates in the order of the architectures, those that are not in the archive evaluated and appended."""
        new = {arch.archid: arch for arch in archs if self.archive.get(arch.archid) is None}
        outcomes: Iterator[Outcome] = iter(())
        if new:
            # of this generation nothing counts: a resumed search knows part of it, and processes finish it in any order
            before = [c for c in self.archive if (c.track, c.generation) != (track, generation)]
            with self._timed():
                self.evaluator.observe(before)
                outcomes = iter(self.evaluator.evaluate([self._job(arch, before) for arch in new.values()]))
        for arch in archs:
            candidate = self.archive.get(arch.archid)
            if candidate is None:
                with self._timed():
                    outcome = next(outcomes)
                candidate = self._candidate(arch, track, generation, outcome)
                self.archive.append(candidate)
            self.watch(candidate)
            yield candidate

    def _job(self, arch: Architecture, before: Sequence[Candidate]) -> Job:
        costs = self._price(arch)
        return Job(arch, costs, self.screening.limit(costs, before) if self.screening else None)

    def _candidate(self, arch: Architecture, track: int | None, generation: int, outcome: Outcome) -> Candidate:
        """An outcome as a line of the archive, with the demands that it misses."""
        self._failures = self._failures + 1 if outcome.failure else 0
        if self._failures == FAILURES_IN_A_ROW:
            raise SearchError(
                f'{self._failures} candidates in a row failed, the last with: {outcome.failure}. Mend it and go on '
                'with --resume'
            )
        costs = self._price(arch)
        values = {**outcome.metrics, **costs}
        if self.screening and self.screening.was_given_up(outcome.metrics):
            problems: tuple[str, ...] = (self.screening.reason(outcome.metrics),)
        else:
            unknown = [o.name for o in self.demands.objectives if o.name not in values] if outcome.metrics else []
            if unknown:
                raise SearchError(
                    f'train_cfg.objectives: {unknown} are neither costs nor metrics of val_evaluator, which gives '
                    f'{sorted(outcome.metrics)}; name some of these'
                )
            problems = self.demands.problems(values, outcome.failure)
        seconds = round(outcome.seconds, 3)  # as the archive keeps it: a candidate read back is the same
        return Candidate(len(self.archive), generation, track, arch, outcome.metrics, costs, problems, seconds)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - start
