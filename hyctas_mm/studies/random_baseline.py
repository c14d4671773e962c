"""Are the networks that the search chose better than random ones of like cost (paper section 4.5, Table 7)?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hyctas_mm.archs import Architecture
from hyctas_mm.engine.candidate_costs import CandidateCosts
from hyctas_mm.engine.progress import Progress
from hyctas_mm.engine.retraining import random_twin
from hyctas_mm.errors import BadValue
from hyctas_mm.evaluators.trained_networks import mean_and_std, mean_of_seeds
from hyctas_mm.files import read_json, write_json
from hyctas_mm.studies.finished_search import FinishedSearch

RESULT, TWINS = 'random_baseline.json', 'random_twins.json'


def measure_random_baseline(
    search: FinishedSearch,
    per_track: int = 5,
    iters: int | None = None,
    seeds: Sequence[int] = (0,),
    sample_seed: int = 0,
) -> dict[str, Any]:
    """Trains the chosen networks of each number of branches and random ones of like cost from scratch.

    NOTE(paper): the paper's random networks are as they fall, dearer than the searched ones; here each has the cost of
    a searched one.

    Args:
        search: The search.
        per_track: Random networks for each number of branches. The paper takes 5.
        iters: Steps of each training; those of the exported configs if None.
        seeds: Seeds of the trainings.
        sample_seed: Seed of the random networks.

    Returns:
        What ``WORK_DIR/evidence/random_baseline.json`` holds: for each number of branches ``searched`` and ``random``,
        each with its networks and the mean and standard deviation over networks of score and costs.

    Raises:
        ValueError: If ``per_track`` is not positive.
    """
    if per_track < 1:
        raise BadValue(f'--per-track {per_track}: expected one random network or more for each number of branches')
    costs = search.costs()
    searched = networks_by_branches(search)
    twins = {n: _twins(search, archs, costs, per_track, sample_seed) for n, archs in searched.items()}
    everything = [arch for groups in (searched, twins) for archs in groups.values() for arch in archs]
    results = search.trained_networks(iters).train(everything, seeds, search.score)
    accuracy = {archid: mean_of_seeds(by_seed) for archid, by_seed in results.items()}
    tracks = [
        dict(branches=n, searched=_group(searched[n], accuracy, costs), random=_group(twins[n], accuracy, costs))
        for n in sorted(searched)
    ]
    result = dict(
        score=search.score,
        matched_cost=search.cost,
        sample_seed=sample_seed,
        seeds=list(seeds),
        iters=iters,
        tracks=tracks,
    )
    write_json(search.evidence / RESULT, result)
    return result


def networks_by_branches(search: FinishedSearch) -> dict[int, list[Architecture]]:
    """The search's networks for each number of branches: those it chose, else the best of the front of that track,
    else none.
    """
    chosen = [search.result.by_id[archid] for archid in search.result.chosen]
    found: dict[int, list[Architecture]] = {}
    for candidate in chosen:
        found.setdefault(search.space.track_of(candidate.arch), []).append(search.handover.arch(candidate.arch))
    for ids in search.result.fronts_by_track.values():
        for candidate in sorted((search.result.by_id[i] for i in ids), key=lambda c: -(c.value(search.score) or 0.0)):
            found.setdefault(search.space.track_of(candidate.arch), [search.handover.arch(candidate.arch)])
    return found


def _twins(
    search: FinishedSearch, archs: Sequence[Architecture], costs: CandidateCosts, count: int, seed: int
) -> list[Architecture]:
    """Random networks, the n-th of the cost of the n-th searched one; drawing prices thousands, so what was drawn is
    kept.
    """
    path = search.evidence / TWINS
    known = read_json(path)
    found: dict[str, Architecture] = {}
    progress = Progress(f'random networks of {search.space.track_of(archs[0])} branch(es)', count)
    for number in range(count):
        twin_of = archs[number % len(archs)]
        key = f'{twin_of.archid} {search.cost} {seed} {number}'
        if key not in known:
            known[key] = random_twin(
                twin_of, search.cost, search.space, costs, np.random.default_rng([seed, number])
            ).to_dict()
            write_json(path, known)
        twin = Architecture.from_dict(known[key], str(path))
        found.setdefault(twin.archid, twin)
        progress.update(number + 1)
    return list(found.values())


def _group(archs: Sequence[Architecture], accuracy: Mapping[str, float], costs: CandidateCosts) -> dict[str, Any]:
    names = list(costs(archs[0]))
    networks = [dict(archid=a.archid, score=accuracy[a.archid], costs=costs(a)) for a in archs]
    summary = {name: mean_and_std([costs(a)[name] for a in archs]) for name in names}
    return dict(networks=networks, score=mean_and_std([accuracy[a.archid] for a in archs]), costs=summary)
