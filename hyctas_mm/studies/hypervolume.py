"""Does NSGA-II find more with the same evaluations than random search and regularised evolution?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hyctas_mm.engine.progress import Progress
from hyctas_mm.engine.workers import Workers
from hyctas_mm.errors import BadValue, NoSuchFile
from hyctas_mm.search import Candidate, Objective
from hyctas_mm.search.archive import ARCHIVE
from hyctas_mm.search.driver import SearchDriver
from hyctas_mm.search.folder import SearchFolder
from hyctas_mm.search.hypervolume import Frame, Points, band
from hyctas_mm.studies.open_search import OpenSearch

METHODS: Mapping[str, Mapping[str, Any]] = {
    'NSGA-II': dict(type='NSGA2'),
    'random search': dict(type='RandomSearch'),
    'regularised evolution': dict(type='RegularisedEvolution'),
}
"""Configs of what is compared, by the name that a person sees."""
IDLE_GENERATIONS = 50
"""Generations in a row that bring nothing new, after which a search has ended."""

Runs = Mapping[str, Mapping[str, Sequence[Candidate]]]
"""For each method and each of its runs (seeds) the candidates in order of evaluation."""


def compare_searches(
    build: Callable[..., SearchDriver],
    tracks: Sequence[int | None],
    seeds: Sequence[int],
    budget: int,
    population: int,
    methods: Mapping[str, Mapping[str, Any]] = METHODS,
) -> dict[str, dict[str, list[Candidate]]]:
    """Runs every method with every seed.

    Methods with the same seed begin with the same random population. What counts as an evaluation is a candidate that
    is new to the run: a repeated one costs nothing in a search either.

    Args:
        build: A :class:`SearchDriver` that lacks ``algorithm``, ``population`` and ``seed``; all have one archive, so
            that the first to ask has an architecture evaluated and the others find it.
        tracks: Numbers of branches searched separately, ``[None]`` for all jointly. The budget is divided among them.
        seeds: Seeds.
        budget: Evaluations of each run.
        population: Population of each track.
        methods: Configs of algorithms by name.

    Returns:
        The candidates by method and seed.

    Raises:
        ValueError: If the budget leaves no generation after the first, random one.
    """
    if budget < 2 * population * len(tracks):
        raise BadValue(
            f'--budget {budget} over {len(tracks)} track(s) with a population of {population}: nothing would evolve; '
            f'give --budget {2 * population * len(tracks)} or more, or a smaller --population'
        )
    progress = Progress('searches', len(methods) * len(seeds))
    runs: dict[str, dict[str, list[Candidate]]] = {name: {} for name in methods}
    for seed in seeds:
        for name, algorithm in methods.items():
            driver = build(algorithm=algorithm, population=population, seed=seed)
            runs[name][str(seed)] = run_search(driver, tracks, budget)
            progress.update(
                progress.done + 1, f'{name}, seed {seed}: {len(driver.archive)} architectures evaluated in all'
            )
    return runs


def compare_on_supernet(
    search: OpenSearch, supernet: str | None, folder: Path, seeds: Sequence[int], budget: int, population: int
) -> tuple[dict[str, dict[str, list[Candidate]]], tuple[Objective, ...]]:
    """Compares the methods, and the search's own algorithm if it is another, as its config judges and prices.

    Args:
        search: The search.
        supernet: Checkpoint in place of the config's.
        folder: Keeps the evaluations that all runs share, as the folder of a search does; what is there is not
            evaluated again.
        seeds: Seeds.
        budget: Evaluations of each run.
        population: Population of each track.

    Returns:
        The candidates by method and seed, and the objectives.

    Raises:
        SearchError: If the folder holds evaluations of other weights or images.
        ValueError: If the budget is too small.
    """
    loop, evaluator = search.loop, search.evaluator(supernet)
    identity = evaluator.identity() | dict(type=loop.evaluator_cfg['type'])
    bounds = [vars(b) for b in loop.bounds]  # part of every line of the archive
    files = SearchFolder(folder)
    settings = dict(
        search_space=search.space.to_dict(), evaluator=identity, input_hw=list(loop.pricing.input_hw), bounds=bounds
    )
    archive, workers = files.begin(settings, resume=True), Workers(evaluator, folder)
    build = partial(
        SearchDriver,
        space=search.space,
        evaluator=workers,
        prices=loop.prepare_costs(evaluator),
        demands=loop.demands,
        archive=archive,
    )
    own = loop.algorithm_cfg['type']
    methods = METHODS if own in {m['type'] for m in METHODS.values()} else {**METHODS, own: loop.algorithm_cfg}
    return compare_searches(build, loop.branches, seeds, budget, population, methods), loop.objectives


def run_search(driver: SearchDriver, tracks: Sequence[int | None], budget: int) -> list[Candidate]:
    """Candidates of one run in order of evaluation, each once; the track with the fewest evaluations is always next.

    Args:
        driver: The search.
        tracks: Its tracks.
        budget: Evaluations of all tracks together.
    """
    found: dict[str, Candidate] = {}
    runs = [driver.search(track) for track in tracks]
    spent, idle = [0] * len(runs), [0] * len(runs)
    while len(found) < budget:
        alive = [i for i in range(len(runs)) if idle[i] < IDLE_GENERATIONS]
        if not alive:
            break
        track, before = min(alive, key=lambda i: spent[i]), len(found)
        generation = next(runs[track], None)
        for candidate in generation.candidates if generation else ():
            found.setdefault(candidate.archid, candidate)
        spent[track] += len(found) - before
        idle[track] = IDLE_GENERATIONS if generation is None else 0 if len(found) > before else idle[track] + 1
    return list(found.values())[:budget]


def read_runs(sources: Sequence[str]) -> tuple[dict[str, dict[str, list[Candidate]]], tuple[Objective, ...]]:
    """Finished searches as runs.

    Args:
        sources: Archives, or folders or work dirs of searches; each may be given a name, ``NAME=PATH``. Those of one
            name are runs of one method.

    Returns:
        The candidates by name and path, and the objectives that all have in common.

    Raises:
        FileNotFoundError: If there is no archive.
        ValueError: If the searches had different objectives.
    """
    runs: dict[str, dict[str, list[Candidate]]] = {}
    objectives: dict[str, tuple[Objective, ...]] = {}
    for source in sources:
        name, _, path = source.rpartition('=')
        try:
            search = SearchFolder.find(path)
        except FileNotFoundError:
            raise NoSuchFile(
                f'no search config and no archive {path}; expected CONFIG.py, or {ARCHIVE}, or a folder that holds it'
            ) from None
        objectives[path] = search.objectives
        runs.setdefault(name or search.path.parent.name, {})[path] = list(search.candidates())
    first = next(iter(objectives))
    for path, found in objectives.items():
        if [o.name for o in found] != [o.name for o in objectives[first]]:
            names = {p: [o.name for o in objectives[p]] for p in (first, path)}
            raise BadValue(
                f'searches of different objectives cannot be compared: {names}; name searches with the same ones'
            )
    return runs, objectives[first]


def points_of(candidates: Sequence[Candidate], objectives: Sequence[Objective]) -> Points:
    """The objectives of candidates, smaller is better; infinite rows for those that are infeasible."""
    rows = [
        [o.sign * value if (value := c.value(o.name)) is not None else np.inf for o in objectives] for c in candidates
    ]
    points = np.asarray(rows, dtype=np.float64).reshape(-1, len(objectives))
    infeasible = np.array([bool(c.violations) for c in candidates], dtype=bool) | ~np.isfinite(points).all(axis=1)
    points[infeasible] = np.inf
    return points


def frame_of(
    runs: Runs, objectives: Sequence[Objective], ideal: Mapping[str, float] = {}, reference: Mapping[str, float] = {}
) -> Frame:
    """The frame of all runs: given corners, and for what is not given the best and worst feasible value of all runs.

    Args:
        runs: All runs that are compared.
        objectives: The objectives.
        ideal: Best values by name, in their own direction.
        reference: Worst values by name.

    Raises:
        ValueError: For a name that is no objective, or if no candidate is feasible.
    """
    names = [o.name for o in objectives]
    if unknown := sorted({*ideal, *reference} - set(names)):
        raise BadValue(f'{", ".join(unknown)}: no objective of these searches, which have {", ".join(names)}')
    points = np.concatenate(
        [points_of(candidates, objectives) for by_seed in runs.values() for candidates in by_seed.values()]
    )
    found = Frame.around(points[np.isfinite(points).all(axis=1)])
    best = [
        o.sign * ideal[o.name] if o.name in ideal else value for o, value in zip(objectives, found.ideal, strict=True)
    ]
    worst = [
        o.sign * reference[o.name] if o.name in reference else value
        for o, value in zip(objectives, found.reference, strict=True)
    ]
    return Frame(tuple(best), tuple(worst))


def summarise(runs: Runs, objectives: Sequence[Objective], frame: Frame) -> dict[str, Any]:
    """Hypervolume over evaluations of every run, and each method's band.

    Returns:
        ``frame`` (the corners in the objectives' own directions) and ``methods``, each with ``curves`` by run and the
        ``mean``, ``low`` and ``high`` over runs.
    """
    methods = {}
    for name, by_run in runs.items():
        curves = {run: frame.volumes(points_of(candidates, objectives)) for run, candidates in by_run.items()}
        summary = band(list(curves.values()))
        methods[name] = dict(
            curves={run: curve.tolist() for run, curve in curves.items()},
            mean=summary.mean.tolist(),
            low=summary.low.tolist(),
            high=summary.high.tolist(),
        )
    corners = {
        corner: {o.name: o.sign * value for o, value in zip(objectives, getattr(frame, corner), strict=True)}
        for corner in ('ideal', 'reference')
    }
    return dict(objectives=[o.name for o in objectives], frame=corners, methods=methods)
