"""The search as a train loop of mmengine's Runner."""

from __future__ import annotations

import datetime
import json
import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop

from hyctas_mm.archs import Architecture, SearchSpace
from hyctas_mm.costs import device_name
from hyctas_mm.engine.candidate_costs import CandidateCosts
from hyctas_mm.engine.checkpoint import load_supernet
from hyctas_mm.engine.cli import set_data_root
from hyctas_mm.engine.export import export_subnet
from hyctas_mm.engine.files import lock_folder, read_json, write_json
from hyctas_mm.engine.hooks.progress_hook import ProgressHook
from hyctas_mm.engine.hooks.sample_arch_hook import supernet_space
from hyctas_mm.engine.scoring import Scorer
from hyctas_mm.engine.search_costs import POST_PROCESSING_MS, SETTINGS, search_costs
from hyctas_mm.engine.search_log import SearchLog
from hyctas_mm.engine.workers import Job, Outcome, SearchError, Workers
from hyctas_mm.registry import LOOPS
from hyctas_mm.report.html import write_report
from hyctas_mm.search import COSTS, Archive, Candidate, read_bounds, read_objectives
from hyctas_mm.search.algorithms import NSGA2, SearchProblem
from hyctas_mm.search.archive import ARCHIVE
from hyctas_mm.search.demands import Demands
from hyctas_mm.search.front import FRONT, front_indices, spread
from hyctas_mm.search.screening import read_screening

FAILURES_IN_A_ROW = 3
"""Failing candidates after which the search stops: the fault is not theirs."""


@LOOPS.register_module()
class NSGA2SearchLoop(BaseLoop):
    """Searches a trained supernet with NSGA-II (paper section 3.4, Algorithm 1) and exports the networks chosen from the front.

    Use it as ``train_cfg`` of a config whose model is the supernet. ``train_dataloader`` gives the images that the batch norm is recalibrated
    on, ``val_dataloader`` and ``val_evaluator`` score; no image may be in both. Everything is written to ``WORK_DIR/search``.

    Candidates are remembered in ``archive.jsonl``: with ``resume = True`` a search that was killed continues to the same result.

    Args:
        runner: The runner.
        dataloader: Loader of calibration images.
        supernet: Checkpoint of the trained supernet.
        subnet_config: Training config of a fixed network, whose data and schedule the exported configs take; relative to the working
            directory or to the search's config file.
        input_hw: Height and width that costs are measured at.
        objectives: Two or more of the evaluator's metrics and the costs ``latency_ms``, ``macs_g``, ``params_m``; see
            :func:`~hyctas_mm.search.read_objectives`.
        bounds: Demands, e.g. ``dict(latency_ms=dict(max=20), mIoU=dict(min=30))``. Those on costs are checked before evaluation.
            NOTE(paper): below the mIoU floor a candidate counts as evaluated and ranks after all feasible ones; the paper evaluates on
            until enough are above it, which need not end.
        branches: Numbers of branches searched one after another, each with a population of its own (the paper's way), or None to search
            all of them in one population.
        population: Candidates in the population and in each generation.
        generations: Generations, the first random one included: ``population * generations`` candidates for each number of branches.
        crossover_prob: See :class:`~hyctas_mm.search.algorithms.NSGA2`.
        mutation_prob: See :class:`~hyctas_mm.search.algorithms.NSGA2`.
        calibration_batches: Batches that the batch norm is recalibrated on.
        num_chosen: Networks exported from the front.
        latency_table: File of the latency table, kept between searches; default ``WORK_DIR/latency_table.json``.
        latency_seconds: Time to measure each part of the latency table.
        memory_input: For ``memory_gb``: images of a training step and their height and width, e.g. ``(8, (160, 224))``.
        memory_device: For ``memory_gb``: where networks will be trained, ``'cuda'`` or ``'cpu'``.
        post_processing: Whether ``latency_ms`` includes what comes after the network, measured on a few validation images.
        screening: ``dict(images=64)`` scores each candidate on so many validation images first, and on the others only where those leave
            doubt whether a known candidate is better at no more cost; see :class:`~hyctas_mm.search.screening.Screening`. None for all images.
        amp: Whether candidates are scored in half precision: faster on a GPU, and the scores differ a little from those in float32.
        seed: Seed of the search.

    Raises:
        ValueError: For a wrong argument, images both calibrated and scored on, a supernet of another space.
        SearchError: If the work dir holds another search, or nothing satisfies the bounds.

    Example:
        >>> train_cfg = dict(type='NSGA2SearchLoop', supernet='work_dirs/supernet/iter_4000.pth', subnet_config='subnet.py',
        ...                  input_hw=(227, 320), objectives=['mIoU', 'latency_ms'], bounds=dict(latency_ms=dict(max=20)))
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: Any,
        supernet: str,
        subnet_config: str,
        input_hw: Sequence[int],
        objectives: Sequence[str | Mapping[str, Any]] = ('mIoU', 'latency_ms'),
        bounds: Mapping[str, Mapping[str, float]] = {},
        branches: Sequence[int] | None = (1, 2, 3),
        population: int = 40,
        generations: int = 20,
        crossover_prob: float = 0.9,
        mutation_prob: float = 0.02,
        calibration_batches: int = 16,
        num_chosen: int = 5,
        latency_table: str | None = None,
        latency_seconds: float = 0.1,
        memory_input: tuple[int, tuple[int, int]] | None = None,
        memory_device: str = 'cuda',
        post_processing: bool = False,
        screening: Mapping[str, Any] | None = None,
        amp: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(runner, dataloader)
        _check_numbers(input_hw, population=population, generations=generations, calibration_batches=calibration_batches, num_chosen=num_chosen)
        self.objectives = read_objectives(objectives)
        self.bounds = read_bounds(bounds, [o.name for o in self.objectives])
        self.demands = Demands(self.objectives, self.bounds)
        self.screening = read_screening(screening, self.objectives)
        self.supernet, self.input_hw = supernet, tuple(input_hw)
        self.branches: list[int | None] = [None] if branches is None else list(branches)
        self.population, self.generations, self.seed = population, generations, seed
        self.probs = dict(crossover_prob=crossover_prob, mutation_prob=mutation_prob)
        self.calibration_batches, self.num_chosen, self.amp = calibration_batches, num_chosen, amp
        self.subnet_config = self._read_subnet_config(subnet_config)
        self.folder = Path(runner.work_dir) / 'search'
        self.latency_table = latency_table
        self.latency_seconds, self.post_processing = latency_seconds, post_processing
        self.memory_input, self.memory_device = self._read_memory_input(memory_input), memory_device
        self._excluded: Counter[str] = Counter()
        self._lock: Any = None
        self._proposed = self._evaluated = self._failures = 0
        self._evaluation_seconds = 0.0

    # What the runner asks of a train loop ---------------------------------------------------------------------------------------

    @property
    def max_epochs(self) -> int:
        return self.generations * len(self.branches)

    @property
    def max_iters(self) -> int:
        return self.max_epochs * self.population

    @property
    def epoch(self) -> int:
        return self._evaluated // self.population

    @property
    def iter(self) -> int:
        return self._evaluated

    def run(self) -> Any:
        """Runs or continues the search; returns the supernet."""
        self.runner.call_hook('before_train')
        error = None
        settings: dict[str, Any] = {}
        try:
            settings = self._prepare()
        except Exception as caught:  # told to all processes, then raised again
            error = caught
        workers = Workers(lambda job: self._score(job), self.folder)
        workers.agree(settings, error)
        if workers.rank:
            workers.serve()
        else:
            self._lead(workers)
        self.runner.call_hook('after_train')
        return self.runner.model

    def _lead(self, workers: Workers) -> None:
        """What the first process does."""
        self.workers = workers
        self.log = SearchLog(self.runner.visualizer, self.objectives, self.branches, self.generations)
        start = time.perf_counter()
        try:
            for track in self.branches:
                self._search(track)
        finally:
            workers.stop()
        self._seconds = time.perf_counter() - start
        self._finish()

    # Preparation ----------------------------------------------------------------------------------------------------------------

    def _prepare(self) -> dict[str, Any]:
        """Reads and checks everything; returns the settings that make it this search and no other."""
        model = self.runner.model.module if is_model_wrapper(self.runner.model) else self.runner.model
        self.space = supernet_space(model)
        if any(track is not None and not 1 <= track <= self.space.max_branches for track in self.branches):
            raise ValueError(f'train_cfg: branches={self.branches}; expected some of 1..{self.space.max_branches}, the max_branches of search_space')
        self.runner.logger.info(f'search space: {self.space.size():.3g} architectures')
        digest = load_supernet(model, self.supernet, self.space)
        model_cfg = self.runner.cfg.model.to_dict()
        self.device = next(model.parameters()).device
        loop = self.runner.val_loop
        first = self.screening.images if self.screening else 0
        self.scorer = Scorer(
            model, model_cfg, self.dataloader, loop.dataloader, loop.evaluator, self.calibration_batches, first_images=first, amp=self.amp
        )
        settings = self._settings(digest)
        if is_main_process():
            self._open_folder(settings)
            self.costs = self.prepare_costs(self.space, self.scorer, model_cfg)
            write_json(self.folder / SETTINGS, settings | {POST_PROCESSING_MS: self.costs.post_processing_ms})
        return settings

    def prepare_costs(self, space: SearchSpace, scorer: Scorer, model_cfg: Mapping[str, Any]) -> CandidateCosts:
        """Prices architectures as this search does; measures what it needs for that.

        Args:
            space: The search space.
            scorer: Gives a network and images, to measure what comes after the network.
            model_cfg: The supernet's model config.
        """
        costs = search_costs(self._pricing(space), self.folder, model_cfg, scorer.device, self.latency_seconds)
        if self.post_processing:
            test_cfg = self.runner.cfg.model.get('test_cfg') or {}
            if test_cfg.get('flip') or len(test_cfg.get('scales') or (1,)) > 1:
                raise ValueError(
                    'train_cfg.post_processing: with several scales or flip the network runs several times, which is no constant; '
                    'leave one of them out'
                )
            network = scorer.subnet(space.sample(np.random.default_rng(0)))
            costs.add_post_processing(network, scorer.first_batches(5), self._evaluation_cfg())
        return costs

    def _read_memory_input(self, given: Sequence[Any] | None) -> tuple[int, tuple[int, int]] | None:
        """``memory_input``, None where ``memory_gb`` is not asked for: pricing it takes half a second an architecture."""
        if 'memory_gb' not in {o.name for o in self.objectives} | {b.name for b in self.bounds}:
            return None
        if given is None:
            raise ValueError(
                'memory_gb is an objective or bound: give memory_input=(batch, (height, width)) in train_cfg, those of the training it is meant for'
            )
        batch, (height, width) = given
        return int(batch), (int(height), int(width))

    def _pricing(self, space: SearchSpace) -> dict[str, Any]:
        """The settings that :func:`search_costs` reads."""
        return dict(
            search_space=space.to_dict(),
            objectives=[vars(o) for o in self.objectives],
            bounds=[vars(b) for b in self.bounds],
            input_hw=list(self.input_hw),
            latency_table=self.latency_table,
            memory_input=self.memory_input,
            memory_device=self.memory_device,
        )

    def _settings(self, digest: str) -> dict[str, Any]:
        settings = dict(
            **self._pricing(self.space),
            supernet_sha1=digest,
            images_sha1=self.scorer.images_sha1,
            evaluation=self._evaluation_cfg(),
            post_processing=self.post_processing,
            branches=self.branches,
            population=self.population,
            generations=self.generations,
            calibration_batches=self.calibration_batches,
            screening=self.screening and asdict(self.screening),
            amp=self.amp or None,  # as in searches begun before there was a choice
            seed=self.seed,
            **self.probs,
        )
        return dict(json.loads(json.dumps(settings)))

    def _evaluation_cfg(self) -> str:
        """What decides a score beside weights and images: the model's ``test_cfg`` and the evaluator, as text."""
        return json.dumps([self.runner.cfg.model.get('test_cfg'), self.runner.cfg.get('val_evaluator')], sort_keys=True, default=str)

    def _open_folder(self, settings: Mapping[str, Any]) -> None:
        """Starts ``WORK_DIR/search``, or checks that what is there is this search and that nobody is at it."""
        self._lock = lock_folder(self.folder)
        path = self.folder / SETTINGS
        there = read_json(path)
        differing = [f'{k} is {there.get(k)!r} there, {v!r} here' for k, v in settings.items() if there and there.get(k) != v]
        if differing:
            raise SearchError(f'{self.folder} holds another search: {"; ".join(differing)}; choose another --work-dir, or delete it')
        self.archive = Archive(self.folder / ARCHIVE)
        if len(self.archive) and not self.runner._resume:
            raise SearchError(
                f'{self.folder} holds this search with {len(self.archive)} evaluated candidates; continue it with --resume, '
                'choose another --work-dir, or delete it'
            )
        write_json(path, settings)

    # The search -----------------------------------------------------------------------------------------------------------------

    def _search(self, track: int | None) -> None:
        weights = tuple(o.weight for o in self.objectives)
        algorithm = NSGA2(SearchProblem(self.space, track, weights, self.population, self.seed, self._accept), **self.probs)
        for generation in range(self.generations):
            archs = algorithm.ask()
            if not archs:
                self._say(f'{_track_name(track)}: no new candidate within the bounds after {generation} generations; {self._exclusions()}')
                break
            candidates = list(self._evaluate(archs, track, generation))
            self.workers.clear_pending()
            algorithm.tell([self.demands.minimised(c) for c in candidates], [self.demands.violation(c) for c in candidates])
            self._write_front()
            self.log.add(self.archive, track, generation)

    def _accept(self, arch: Architecture) -> bool:
        """The filter before evaluation: bounds on costs. Counts what each bound excludes."""
        self._proposed += 1
        bounds = [b for b in self.bounds if b.name in COSTS]
        costs = self.costs(arch) if bounds else {}
        failed = [b.name for b in bounds if b.violation(costs[b.name]) > 0]
        self._excluded.update(failed)
        return not failed

    def _evaluate(self, archs: Sequence[Architecture], track: int | None, generation: int) -> Iterator[Candidate]:
        """A generation's candidates, those that are not in the archive evaluated and appended."""
        with self._evaluating():
            new = self._jobs([arch for arch in archs if self.archive.get(arch.archid) is None], track, generation)
        outcomes = self.workers.run(new)
        for arch in archs:
            candidate = self.archive.get(arch.archid)
            if candidate is None:
                with self._evaluating():
                    outcome = next(outcomes)
                candidate = self._record(arch, track, generation, outcome)
                self.archive.append(candidate)
            self._progress(candidate)
            self._evaluated += 1
            yield candidate

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        """Adds to the time that pricing and scoring take; all else is the search's own."""
        start = time.perf_counter()
        yield
        self._evaluation_seconds += time.perf_counter() - start

    def _jobs(self, archs: Sequence[Architecture], track: int | None, generation: int) -> list[Job]:
        if self.screening is None:
            return [Job(arch, self.costs(arch)) for arch in archs]
        # of this generation nothing counts: a resumed search knows part of it, and several processes finish it in any order
        before = [c for c in self.archive if (c.track, c.generation) != (track, generation)]
        return [Job(arch, self.costs(arch), self.screening.limit(self.costs(arch), before)) for arch in archs]

    def _score(self, job: Job) -> dict[str, float]:
        screening = self.screening
        with _quiet(self.runner.logger):
            return self.scorer.score(job.arch, screening and (lambda metrics: screening.gives_up(metrics, job.limit)))

    def _record(self, arch: Architecture, track: int | None, generation: int, outcome: Outcome) -> Candidate:
        """An outcome as a line of the archive, with the demands that it misses."""
        self._failures = self._failures + 1 if outcome.failure else 0
        if self._failures == FAILURES_IN_A_ROW:
            raise SearchError(f'{self._failures} candidates in a row failed, the last with: {outcome.failure}. Mend it and go on with --resume')
        costs = self.costs(arch)
        values = {**outcome.metrics, **costs}
        if self.screening and self.screening.was_given_up(outcome.metrics):
            problems: tuple[str, ...] = (self.screening.reason(outcome.metrics),)
            return Candidate(len(self.archive), generation, track, arch, outcome.metrics, costs, problems, outcome.seconds)
        unknown = [o.name for o in self.objectives if o.name not in values] if outcome.metrics else []
        if unknown:
            raise SearchError(
                f'train_cfg.objectives: {unknown} are neither costs nor metrics of val_evaluator, which gives '
                f'{sorted(outcome.metrics)}; name some of these'
            )
        problems = self.demands.problems(values, outcome.failure)
        return Candidate(len(self.archive), generation, track, arch, outcome.metrics, costs, problems, outcome.seconds)

    # Results --------------------------------------------------------------------------------------------------------------------

    def _front(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        feasible = [c for c in candidates if not c.violations]
        points = np.array([self.demands.minimised(c) for c in feasible]).reshape(-1, len(self.objectives))
        return [feasible[i] for i in front_indices(points)]

    def _write_front(self) -> list[Candidate]:
        """Writes ``front.json``; returns the chosen candidates."""
        candidates = list(self.archive)
        front = self._front(candidates)
        cost = next((o.name for o in self.objectives if o.direction == 'min'), self.objectives[-1].name)
        front.sort(key=lambda c: c.value(cost) or 0.0)
        chosen = [front[i] for i in spread([c.value(cost) or 0.0 for c in front], self.num_chosen)]
        tracks = {str(t): self._front([c for c in candidates if c.track == t]) for t in self.branches}
        given_up = sum(bool(self.screening and self.screening.was_given_up(c.metrics)) for c in candidates)
        infeasible = sum(bool(c.violations) for c in candidates) - given_up
        content = dict(
            dataset=self.runner.cfg.get('dataset_name') or type(self.runner.val_loop.dataloader.dataset).__name__,
            device=device_name(self.device),
            input_hw=list(self.input_hw),
            objectives=[dict(name=o.name, direction=o.direction, unit=o.unit) for o in self.objectives],
            front=[c.archid for c in front],
            fronts_by_track={t: [c.archid for c in cs] for t, cs in tracks.items()},
            chosen=[c.archid for c in chosen],
            num_evaluated=len(candidates),
            num_infeasible=infeasible,
            num_given_up=given_up,
            num_excluded_before_evaluation=dict(self._excluded),
            seconds=round(sum(c.seconds for c in candidates), 1),
            base_channels=self.space.base_channels,
            seed=self.seed,
        )
        write_json(self.folder / FRONT, content)
        return chosen

    def _finish(self) -> None:
        if not len(self.archive):
            raise SearchError(f'no candidate satisfies the bounds: {self._exclusions()}. Loosen them in train_cfg.bounds')
        chosen = self._write_front()
        if not chosen:
            reasons = Counter(v.split(' ')[0] if 'demanded' in v else v for c in self.archive for v in c.violations)
            told = ', '.join(f'{name}: {count}' for name, count in reasons.most_common())
            raise SearchError(f'none of {len(self.archive)} evaluated candidates is feasible (excluded by {told}); loosen train_cfg.bounds')
        for candidate in chosen:
            subnet = self.scorer.subnet(candidate.arch)
            folder = self.folder / 'subnets' / candidate.archid
            metainfo = self.runner.val_loop.dataloader.dataset.metainfo
            export_subnet(folder, subnet, self.subnet_config, candidate.arch, self.space.base_channels, metainfo)
        report = write_report(self.folder)
        if self._evaluation_seconds:
            share = 1 - self._evaluation_seconds / self._seconds
            self._say(f'{self._evaluated} candidates, {self._evaluation_seconds:.0f} s of evaluation, overhead {share:.2%}')
        self._say(f'front of {len(self._front(list(self.archive)))} networks, {len(chosen)} exported to {self.folder / "subnets"}; report: {report}')

    def _read_subnet_config(self, path: str) -> Config:
        """The config that exported networks take after, reading its data where the search does."""
        places = [Path(path), Path(self.runner.cfg.filename or '.').parent / path]
        found = next((p for p in places if p.is_file()), None)
        if found is None:
            raise FileNotFoundError(
                f'train_cfg: no subnet_config {path}, neither in the working directory nor beside the search config; name the training config of a '
                'fixed network'
            )
        cfg = Config.fromfile(found)
        root = self.runner.cfg.train_dataloader.dataset.get('data_root')
        if root:
            set_data_root(cfg, str(Path(root).resolve()))
        return cfg

    # Messages -------------------------------------------------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        print_log(text, logger=self.runner.logger, level=logging.INFO)

    def _progress(self, candidate: Candidate) -> None:
        values = ', '.join(o.with_value(candidate.value(o.name)) for o in self.objectives)
        times = [c.seconds for c in self.archive]
        left = datetime.timedelta(seconds=round((self.max_iters - self._evaluated - 1) * sum(times) / len(times)))
        place = f'{_track_name(candidate.track)}, generation {candidate.generation + 1}/{self.generations}'
        note = f'{place}: {candidate.archid} {values}' + (f' [{candidate.violations[0]}]' if candidate.violations else '')
        self._say(f'[{self._evaluated + 1}/{self.max_iters}, {left} left] {note}')
        for hook in self.runner.hooks:
            if isinstance(hook, ProgressHook):
                hook.show(self._evaluated + 1, self.max_iters, note)

    def _exclusions(self) -> str:
        told = ', '.join(f'{name} excluded {count}' for name, count in self._excluded.most_common()) or 'nothing was excluded'
        return f'of {self._proposed} proposed architectures {told}'


def _check_numbers(input_hw: Sequence[int], **counts: int) -> None:
    for name, value in counts.items():
        if type(value) is not int or value < 1:
            raise ValueError(f'train_cfg: {name}={value!r}; expected a whole number from 1 up')
    if len(input_hw) != 2 or min(input_hw) < 1:
        raise ValueError(f'train_cfg: input_hw={tuple(input_hw)}; expected height and width in pixels, e.g. (227, 320)')


def _track_name(track: int | None) -> str:
    return 'joint' if track is None else f'{track} branch{"es" if track > 1 else ""}'


class _quiet:
    """Silences the evaluator's table of classes, which would be printed for every candidate."""

    def __init__(self, logger: logging.Logger) -> None:
        self.logger = logger

    def __enter__(self) -> None:
        self.level = self.logger.level
        self.logger.setLevel(logging.WARNING)

    def __exit__(self, *_: object) -> None:
        self.logger.setLevel(self.level)
