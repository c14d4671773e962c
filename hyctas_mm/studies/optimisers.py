"""Which algorithm finds most with the same evaluations, apart from training: on scores predicted from landmarks."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import BayesianRidge

from hyctas_mm.archs import Architecture, SearchSpace
from hyctas_mm.search import Archive, Candidate, Objective, read_bounds, read_objectives
from hyctas_mm.search.algorithms.surrogate import Regression, describe
from hyctas_mm.search.demands import Demands
from hyctas_mm.search.driver import SearchDriver
from hyctas_mm.search.evaluator import Job, Outcome
from hyctas_mm.studies.ceiling import complete, truth
from hyctas_mm.studies.hypervolume import METHODS, compare_searches

SURROGATE: Mapping[str, Any] = dict(type='SurrogateNSGA2')


class Predicted:
    """An evaluator, and prices, by regressions on landmarks: of the mean score, and of log latency (linear).

    Args:
        table: The landmarks.
    """

    def __init__(self, table: Mapping[str, Any]) -> None:
        self.space, self.metric = SearchSpace.from_dict(table['space']), str(table['metric'])
        networks = complete(table)
        features = np.array([describe(self.space, Architecture.from_dict(n['arch'])) for n in networks])
        latency = np.array([n['costs']['latency_ms'] for n in networks])
        self.slowest = float(latency.max())
        self._score = Regression(features, truth(table).mean(axis=1))
        self._scale = features.std(axis=0) + 1e-9
        self._latency = BayesianRidge().fit(features / self._scale, np.log(latency))
        self._prices: dict[str, dict[str, float]] = {}

    def prices(self, arch: Architecture) -> dict[str, float]:
        """The predicted latency."""
        if arch.archid not in self._prices:
            features = np.array(describe(self.space, arch)) / self._scale
            # tens of thousands are priced one by one, for which predict() takes a hundred times as long
            log = float(features @ self._latency.coef_ + self._latency.intercept_)
            self._prices[arch.archid] = dict(latency_ms=math.exp(log))
        return self._prices[arch.archid]

    def identity(self) -> dict[str, Any]:
        """Nothing: what is found is not kept."""
        return {}

    def evaluate(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Predicted scores."""
        for job in jobs:
            mean, _ = self._score(np.array([describe(self.space, job.arch)]))
            yield Outcome({self.metric: float(mean[0])}, seconds=1e-3)

    def network(self, arch: Architecture) -> None:
        """There is none."""

    def observe(self, candidates: Sequence[Candidate]) -> None:
        """Nothing is learnt from other candidates."""


def compare_optimisers(
    table: Mapping[str, Any], seeds: Sequence[int], budget: int, population: int, mutation_probs: Sequence[float]
) -> tuple[dict[str, dict[str, list[Candidate]]], tuple[Objective, ...]]:
    """Searches by each algorithm, each number of branches with a population of its own, no slower than the landmarks.

    What is predicted is smooth, and the space between the landmarks is a guess: it compares algorithms, not networks.

    Args:
        table: The landmarks.
        seeds: Of the searches.
        budget: Evaluations of each.
        population: Of each number of branches.
        mutation_probs: Of NSGA-II, which runs with each.

    Returns:
        The candidates by algorithm and seed, and the objectives.

    Raises:
        ValueError: If the budget is too small.
    """
    predicted = Predicted(table)
    objectives = read_objectives([predicted.metric, 'latency_ms'])
    others = {name: cfg for name, cfg in METHODS.items() if cfg['type'] != 'NSGA2'}
    methods: dict[str, Mapping[str, Any]] = {
        **{f'NSGA-II, mutation {prob:g}': dict(type='NSGA2', mutation_prob=prob) for prob in mutation_probs},
        **others,
        'surrogate': SURROGATE,
    }
    with tempfile.TemporaryDirectory() as folder:
        build = partial(
            SearchDriver,
            space=predicted.space,
            evaluator=predicted,
            prices=predicted.prices,
            demands=Demands(objectives, read_bounds(dict(latency_ms=dict(max=predicted.slowest)))),
            archive=Archive(Path(folder) / 'archive.jsonl'),
        )
        return compare_searches(build, predicted.space.tracks, seeds, budget, population, methods), objectives
