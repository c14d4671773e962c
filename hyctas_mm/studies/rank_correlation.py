"""Does the supernet rank architectures as training from scratch does (paper section 4.5, correlation analysis; Table
1)?
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from hyctas_mm.archs import Architecture, SearchSpace
from hyctas_mm.engine.progress import Progress
from hyctas_mm.errors import BadValue
from hyctas_mm.evaluators.inherited_weights import InheritedWeights
from hyctas_mm.evaluators.trained_networks import TrainedNetworks, mean_of_seeds
from hyctas_mm.files import differences, read_json, write_json
from hyctas_mm.studies import correlation
from hyctas_mm.studies.correlation import MEASURES, Interval, correlate, intervals
from hyctas_mm.studies.open_search import OpenSearch

RESULT = 'rank_correlation.json'


def measure_rank_correlation(
    search: OpenSearch,
    supernets: Sequence[str],
    folder: Path,
    num_archs: int = 10,
    iters: int | None = None,
    seeds: Sequence[int] = (0,),
    sample_seed: int = 0,
) -> dict[str, Any]:
    """Scores random architectures with each supernet, trains them from scratch, and correlates the two.

    The architectures depend on the search space and ``sample_seed`` only, so their trainings serve every supernet that
    is ever compared in this folder, whatever it was trained with.

    Args:
        search: The search that the supernets belong to.
        supernets: Their checkpoints. Differences are to the first.
        folder: Keeps every score and every training; what is there is not done again.
        num_archs: Number of architectures, from the paper's prior (section 3.4). The paper takes 10.
        iters: Steps of each training; those of the search's ``subnet_config`` if None. The paper takes 40,000.
        seeds: Seeds of the trainings; accuracy is their mean.
        sample_seed: Seed of the architectures.

    Returns:
        What ``rank_correlation.json`` holds: ``archs`` with each accuracy, ``supernets`` with scores, correlations with
        their 95 % bootstrap intervals over architectures and, after the first, the differences to it;
        ``between_seeds``, how well two trainings from scratch agree with each other: the most that a supernet can be
        asked for.

    Raises:
        ValueError: If the folder holds another experiment, or fewer than three architectures are asked for.
    """
    if num_archs < 3:
        raise BadValue(f'--archs {num_archs}: a correlation needs three architectures or more')
    check_settings(folder, dict(search_space=search.space.to_dict(), sample_seed=sample_seed, score=search.score))
    archs = sample_archs(search.space, num_archs, sample_seed)
    networks = TrainedNetworks(folder, search.loop.subnet_config, search.space.base_channels, iters)
    evaluator = search.evaluator(supernets[0])
    if not isinstance(evaluator, InheritedWeights):
        raise BadValue(f'the search judges by {type(evaluator).__name__}; supernets are compared with InheritedWeights')
    # before the trainings, which take longest
    scores = [_score_all(evaluator, supernet, search.score, archs, folder) for supernet in supernets]
    accuracy = networks.train(archs, seeds, search.score)
    result = summarise(archs, accuracy, dict(zip(supernets, scores, strict=True)), search.sizes())
    result |= dict(
        score=search.score, sample_seed=sample_seed, iters=networks.cfg.train_cfg.get('max_iters'), seeds=list(seeds)
    )
    write_json(folder / RESULT, result)
    return result


def check_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Notes the settings in a new folder, or checks that those noted there are the same.

    Raises:
        ValueError: Naming each that differs.
    """
    path = folder / 'settings.json'
    there, here = read_json(path), json.loads(json.dumps(settings))
    if there and (differing := differences({key: there.get(key) for key in here}, here)):
        raise BadValue(
            f'{folder} holds another experiment: {"; ".join(differing)}; choose another --work-dir, or delete it'
        )
    write_json(path, here)


def sample_archs(space: SearchSpace, count: int, seed: int) -> list[Architecture]:
    """Different random architectures; fewer of them are the first of more.

    Raises:
        ValueError: If the space has fewer.
    """
    if count > space.size():
        raise BadValue(f'{count} architectures of a space that has {space.size()}; ask for fewer')
    rng = np.random.default_rng(seed)
    found: dict[str, Architecture] = {}
    while len(found) < count:
        arch = space.sample(rng)
        found.setdefault(arch.archid, arch)
    return list(found.values())


def summarise(
    archs: Sequence[Architecture],
    accuracy: Mapping[str, Mapping[int, float]],
    scores: Mapping[str, Mapping[str, float]],
    costs: Any,
) -> dict[str, Any]:
    """The result from its numbers.

    Args:
        archs: The architectures.
        accuracy: After training from scratch, by archid and seed.
        scores: For each supernet the score by archid.
        costs: Prices an architecture.
    """
    trained = {arch.archid: mean_of_seeds(accuracy[arch.archid]) for arch in archs}
    rows = [
        dict(
            archid=a.archid,
            branches=len(a.branches),
            accuracy=trained[a.archid],
            by_seed=dict(accuracy[a.archid]),
            costs=costs(a),
        )
        for a in archs
    ]
    truth = [trained[a.archid] for a in archs]
    values = {name: [found[a.archid] for a in archs] for name, found in scores.items()}
    first = next(iter(values.values()))
    supernets = []
    for name, found in values.items():
        entry: dict[str, Any] = dict(
            supernet=name, scores=dict(scores[name]), correlation=_as_dicts(intervals(found, truth))
        )
        if found is not first:
            entry['better_than_first'] = _as_dicts(correlation.differences(found, first, truth))
        supernets.append(entry)
    return dict(archs=rows, supernets=supernets, between_seeds=_between_seeds(archs, accuracy))


def _between_seeds(
    archs: Sequence[Architecture], accuracy: Mapping[str, Mapping[int, float]]
) -> dict[str, float | None] | None:
    """Mean correlation of the trainings of one seed with those of another; None with a single seed."""
    by_seed = {seed: np.array([accuracy[a.archid][seed] for a in archs]) for seed in accuracy[archs[0].archid]}
    found = [correlate(x, y) for x, y in combinations(by_seed.values(), 2)]
    return {name: _number(float(np.mean([f[name] for f in found]))) for name in MEASURES} if found else None


def _score_all(
    evaluator: InheritedWeights, supernet: str, score: str, archs: Sequence[Architecture], folder: Path
) -> dict[str, float]:
    """Scores by archid, each kept as soon as it is known."""
    evaluator.load(supernet)
    identity = evaluator.identity()
    key = hashlib.sha1(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]  # other weights or images: anew
    path = folder / 'scores' / f'{key}.json'
    known = read_json(path) or dict(identity, scores={})
    known['supernet'] = supernet
    progress = Progress(f'scored with {supernet}', len(archs))
    for number, arch in enumerate(archs):
        if arch.archid not in known['scores']:
            known['scores'][arch.archid] = evaluator.scorer.score(evaluator.network(arch))
            write_json(path, known)
        progress.update(number + 1)
    return {arch.archid: known['scores'][arch.archid][score] for arch in archs}


def _as_dicts(found: Mapping[str, Interval]) -> dict[str, dict[str, float | None]]:
    return {name: {key: _number(value) for key, value in asdict(interval).items()} for name, interval in found.items()}


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return value if np.isfinite(value) else None
