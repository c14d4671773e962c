"""The search as a train loop of mmengine's Runner."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop
from torch import nn

from hyctas_mm.archs import SearchSpace
from hyctas_mm.costs import device_name
from hyctas_mm.engine.candidate_costs import CandidateCosts
from hyctas_mm.engine.export import export_subnet, read_subnet_config
from hyctas_mm.engine.hooks.sample_arch_hook import supernet_space
from hyctas_mm.engine.search_costs import Pricing, add_post_processing, check_padding
from hyctas_mm.engine.search_log import SearchLog
from hyctas_mm.engine.search_progress import SearchProgress, track_name
from hyctas_mm.engine.workers import Workers, agree, control_group
from hyctas_mm.errors import BadValue
from hyctas_mm.registry import EVALUATORS, LOOPS
from hyctas_mm.report.html import write_report
from hyctas_mm.search import Candidate, read_bounds, read_objectives
from hyctas_mm.search.demands import Demands
from hyctas_mm.search.driver import Generation, SearchDriver
from hyctas_mm.search.evaluator import Evaluator
from hyctas_mm.search.folder import POST_PROCESSING_MS, SearchFolder
from hyctas_mm.search.front import describe_front
from hyctas_mm.search.named import build_named
from hyctas_mm.search.screening import read_screening

WITHOUT_WEIGHTS = ", without weights: they will be trained with other channels than the supernet's (handover)"


@LOOPS.register_module()
class SearchLoop(BaseLoop):
    """Searches for networks and exports those chosen from the front.

    Wires a :class:`~hyctas_mm.search.driver.SearchDriver` to the Runner. Use it as ``train_cfg`` of a config whose
    model is the supernet. Everything is written to ``WORK_DIR/search``. Candidates are remembered in ``archive.jsonl``:
    with ``resume = True`` a search that was killed continues to the same result.

    Args:
        runner: The runner.
        dataloader: Loader of calibration images.
        evaluator: Config of how a candidate is judged: ``dict(type='InheritedWeights', supernet=...)``,
            ``dict(type='FromScratch')``, or one of your own; see :mod:`hyctas_mm.evaluators`.
        subnet_config: Training config of a fixed network, whose data and schedule the exported configs take; relative
            to the working directory or to the search's config file.
        input_hw: Height and width that costs are measured at.
        algorithm: Config of what proposes candidates: ``dict(type='NSGA2')``, ``'RegularisedEvolution'``,
            ``'RandomSearch'``, or one of your own, with its options; see :mod:`hyctas_mm.search.algorithms`.
        objectives: Two or more of the evaluator's metrics and the costs ``latency_ms``, ``macs_g``, ``params_m``,
            ``memory_gb``, ``file_mb``, ``run_mb``; see :func:`~hyctas_mm.search.read_objectives`.
        bounds: Demands, e.g. ``dict(latency_ms=dict(max=20), mIoU=dict(min=30))``. Those on costs are checked before
            evaluation. NOTE(paper): below the mIoU floor a candidate counts as evaluated and ranks after all feasible
            ones; the paper evaluates on until enough are above it, which need not end.
        branches: Numbers of branches searched one after another, each with a population of its own (the paper's way),
            or None to search all of them in one population.
        population: Candidates in the population and in each generation.
        generations: Generations, the first random one included: ``population * generations`` candidates for each number
            of branches.
        num_chosen: Networks exported from the front.
        screening: ``dict(images=64)`` scores each candidate on so many validation images first, and on the others only
            where those leave doubt whether a known candidate is better at no more cost; see
            :class:`~hyctas_mm.search.screening.Screening`. None for all images.
        seed: Seed of the search.
        **pricing: ``latency_table``, ``latency_seconds``, ``target``, ``latency_networks``, ``latency_error``,
            ``memory_input``, ``memory_device``, ``post_processing``, ``handover``: see
            :class:`~hyctas_mm.engine.search_costs.Pricing`.

    Attributes:
        space: The search space, the supernet's.
        screening: The rule by which candidates are given up, or None.
        subnet_config: The training config of fixed networks, read.
        folder: ``WORK_DIR/search``.

    Raises:
        ValueError: For a wrong argument.
        SearchError: If the work dir holds another search, or nothing satisfies the bounds.

    Example:
        >>> train_cfg = dict(
        ...     type='SearchLoop', evaluator=dict(type='InheritedWeights', supernet='work_dirs/supernet/iter_4000.pth'),
        ...     algorithm=dict(type='NSGA2', mutation_prob=0.05), subnet_config='subnet.py', input_hw=(227, 320),
        ...     objectives=['mIoU', 'latency_ms'], bounds=dict(latency_ms=dict(max=20)))
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: Any,
        evaluator: Mapping[str, Any],
        subnet_config: str,
        input_hw: Sequence[int],
        algorithm: Mapping[str, Any] = dict(type='NSGA2'),
        objectives: Sequence[str | Mapping[str, Any]] = ('mIoU', 'latency_ms'),
        bounds: Mapping[str, Mapping[str, float]] = {},
        branches: Sequence[int] | None = (1, 2, 3),
        population: int = 40,
        generations: int = 20,
        num_chosen: int = 5,
        screening: Mapping[str, Any] | None = None,
        seed: int = 0,
        **pricing: Any,
    ) -> None:
        super().__init__(runner, dataloader)
        _check_numbers(population=population, generations=generations, num_chosen=num_chosen)
        self.evaluator_cfg, self.algorithm_cfg = dict(evaluator), dict(algorithm)
        self.objectives = read_objectives(objectives)
        self.bounds = read_bounds(bounds, [o.name for o in self.objectives])
        self.demands = Demands(self.objectives, self.bounds)
        self.screening = read_screening(screening, self.objectives)
        names = {o.name for o in self.objectives} | {b.name for b in self.bounds}
        self.pricing = Pricing(input_hw, names, **pricing)
        self.branches: list[int | None] = [None] if branches is None else list(branches)
        self.population, self.generations, self.seed, self.num_chosen = population, generations, seed, num_chosen
        data_root = runner.cfg.train_dataloader.dataset.get('data_root')
        self.subnet_config = read_subnet_config(subnet_config, runner.cfg.filename, data_root)
        self.folder = Path(runner.work_dir) / 'search'
        self._files = SearchFolder(self.folder)
        self._progress = SearchProgress(runner, self.objectives, generations, self.max_iters)

    # What the runner asks of a train loop ----

    @property
    def max_epochs(self) -> int:
        return self.generations * len(self.branches)

    @property
    def max_iters(self) -> int:
        return self.max_epochs * self.population

    @property
    def epoch(self) -> int:
        return self._progress.done // self.population

    @property
    def iter(self) -> int:
        return self._progress.done

    def run(self) -> Any:
        """Runs or continues the search; returns the supernet."""
        try:
            return self._run()
        finally:
            self._files.end()

    def _run(self) -> Any:
        self.runner.call_hook('before_train')
        group = control_group()
        error = None
        settings: dict[str, Any] = {}
        try:
            settings = self._prepare()
        except Exception as caught:  # told to all processes, then raised again
            error = caught
        agree(settings | dict(device=self._device), error, group)
        workers = Workers(self.evaluator, self.folder, group)
        if workers.rank:
            workers.serve()
        else:
            self._lead(workers)
        self.runner.call_hook('after_train')
        return self.runner.model

    # The parts of the search ----

    @property
    def _model(self) -> nn.Module:
        model: nn.Module = self.runner.model
        return model.module if is_model_wrapper(model) else model

    @property
    def _device(self) -> str:
        return device_name(next(self._model.parameters()).device)

    @cached_property
    def space(self) -> SearchSpace:
        return supernet_space(self._model)

    def build_evaluator(self, **changes: Any) -> Evaluator:
        """The evaluator of the config.

        Args:
            **changes: In place of its options.

        Raises:
            ValueError: If the config names none that is registered, or gives options that it does not take.
        """
        EVALUATORS.import_from_location()
        cfg = {**self.evaluator_cfg, **changes}
        evaluator: Evaluator = build_named(EVALUATORS.module_dict, cfg, 'train_cfg.evaluator', self.runner)
        return evaluator

    def prepare_costs(self, evaluator: Evaluator) -> CandidateCosts:
        """Prices architectures as this search does; measures what it needs for that.

        Args:
            evaluator: Gives a network, to measure what comes after it.
        """
        device = next(self._model.parameters()).device
        costs = self.pricing.costs(self.space, self.folder, self.runner.cfg.model.to_dict(), device)
        if self.pricing.post_processing:
            add_post_processing(costs, self.runner, evaluator, self.space)
        return costs

    def _prepare(self) -> dict[str, Any]:
        """Reads and checks everything; returns the settings that make it this search and no other."""
        if any(track is not None and track not in self.space.tracks for track in self.branches):
            expected = f'some of 1..{self.space.max_branches}, the max_branches of search_space'
            raise BadValue(f'train_cfg: branches={self.branches}; expected {expected}')
        self._progress.say(f'search space: {self.space.size():.3g} architectures')
        self.handover = self.pricing.trained(self.space)
        check_padding(self._model, self.pricing.input_hw)
        self.evaluator = self.build_evaluator()
        settings = self._settings()
        if is_main_process():
            self.archive = self._files.begin(settings, self.runner._resume)
            self.costs = self.prepare_costs(self.evaluator)
            self._files.note(settings | {POST_PROCESSING_MS: self.costs.post_processing_ms})
        return settings

    def _settings(self) -> dict[str, Any]:
        return dict(
            search_space=self.space.to_dict(),
            objectives=[vars(o) for o in self.objectives],
            bounds=[vars(b) for b in self.bounds],
            **self.pricing.settings(),
            evaluator=self.evaluator.identity() | dict(type=self.evaluator_cfg['type']),
            algorithm=self.algorithm_cfg,
            branches=self.branches,
            population=self.population,
            generations=self.generations,
            screening=self.screening and asdict(self.screening),
            seed=self.seed,
        )

    # What the first process does ----

    def _lead(self, workers: Workers) -> None:
        """Searches, and exports what was found."""
        self._driver = SearchDriver(
            self.space, self.algorithm_cfg, workers, self.costs, self.demands, self.archive,
            population=self.population, seed=self.seed, screening=self.screening, watch=self._progress,
        )  # fmt: skip
        log = SearchLog(self.runner.visualizer, self.objectives, self.branches, self.generations)
        start = time.perf_counter()
        try:
            for track in self.branches:
                done = 0
                for generation in self._generations(track):
                    workers.clear_pending()
                    self._write_front()
                    log.add(self.archive, track, generation.index)
                    done += 1
                if done < self.generations:
                    found = f'no new candidate within the bounds after {done} generations'
                    self._progress.say(f'{track_name(track)}: {found}; {self._driver.exclusions()}')
        finally:
            workers.stop()
        share = 1 - self._driver.seconds / (time.perf_counter() - start)
        self._finish()
        self._progress.say(
            f'{self._progress.done} candidates, {self._driver.seconds:.0f} s of evaluation, overhead {share:.2%}'
        )

    def _generations(self, track: int | None) -> Iterator[Generation]:
        return islice(self._driver.search(track), self.generations)

    def _write_front(self) -> list[Candidate]:
        """Writes ``front.json``; returns the chosen candidates."""
        content = dict(
            dataset=self.runner.cfg.get('dataset_name') or type(self.runner.val_loop.dataloader.dataset).__name__,
            device=self.costs.measured_on or self._device,
            input_hw=list(self.pricing.input_hw),
            **describe_front(list(self.archive), self.demands, self.branches, self.num_chosen, self.screening),
            num_excluded_before_evaluation=dict(self._driver.excluded),
            base_channels=self.handover.base_channels,
            low_level=self.handover.low_level,
            supernet_base_channels=self.space.base_channels,
            seed=self.seed,
        )
        self._files.write_front(content)
        return [c for c in map(self.archive.get, content['chosen']) if c is not None]

    def _finish(self) -> None:
        self._driver.check_feasible()
        chosen = self._write_front()
        metainfo = self.runner.val_loop.dataloader.dataset.metainfo
        kept = self.handover.keeps(chosen[0].arch, self.space.base_channels)
        for candidate in chosen:
            folder, arch = self.folder / 'subnets' / candidate.archid, self.handover.arch(candidate.arch)
            network = self.evaluator.network(arch) if kept else None
            export_subnet(folder, network, self.subnet_config, arch, self.handover.base_channels, metainfo)
        report = write_report(self.folder)
        self._progress.say(
            f'{len(chosen)} networks of the front exported to {self.folder / "subnets"}'
            f'{"" if kept else WITHOUT_WEIGHTS}; report: {report}'
        )


def _check_numbers(**numbers: int) -> None:
    for name, value in numbers.items():
        if type(value) is not int or value < 1:
            raise BadValue(f'train_cfg: {name}={value!r}; expected a whole number from 1 up')
