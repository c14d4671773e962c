"""A search on a model of the scores: thousands of priced architectures are predicted, a few of them evaluated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt

from hyctas_mm.archs import LOW_LEVELS, Architecture, SearchSpace
from hyctas_mm.search.algorithms.algorithm import SearchProblem, register_algorithm
from hyctas_mm.search.algorithms.random_search import first_population
from hyctas_mm.search.algorithms.survival import best_first
from hyctas_mm.search.demands import BAD

Array = npt.NDArray[np.float64]


@register_algorithm
class SurrogateNSGA2:
    """NSGA-II on predictions, refitted each generation to all that was told.

    Costs are known before an evaluation, scores are predicted: by the mean of a Bayesian ridge regression and of
    boosted trees (scikit-learn) on what an architecture is made of and on its costs. Generations of mutated, crossed
    and random architectures are ranked by prediction, less some of its doubt, as NSGA-II ranks; the best that were
    never evaluated are asked for.

    NOTE(paper): the paper has NSGA-II on evaluated candidates alone.

    Args:
        problem: What is searched; the population is the number of new candidates a generation.
        pool: Architectures that are predicted in each round.
        rounds: Rounds of predicting between two generations.
        mutation_prob: Probability that a gene is drawn anew.
        optimism: By how much of its doubt, in standard deviations, a prediction counts as better than it is.
    """

    def __init__(
        self,
        problem: SearchProblem,
        pool: int = 200,
        rounds: int = 6,
        mutation_prob: float = 0.05,
        optimism: float = 0.5,
    ) -> None:
        self._problem, self._pool, self._rounds = problem, pool, rounds
        self._mutation_prob, self._optimism = mutation_prob, optimism
        self._asked: list[Architecture] = []
        self._archs: list[Architecture] = []
        self._values: list[Array] = []
        self._violations: list[float] = []

    def ask(self) -> list[Architecture]:
        """The next candidates; fewer than a population where no more new ones are found."""
        self._asked = self._promising() if self._archs else first_population(self._problem)
        return list(self._asked)

    def tell(self, values: npt.ArrayLike, violations: npt.ArrayLike) -> None:
        """Reports the candidates of the last :meth:`ask`, as :class:`~hyctas_mm.search.algorithms.Algorithm` says.

        Raises:
            RuntimeError: If none were asked for.
        """
        if not self._asked:
            raise RuntimeError('tell() without ask()')
        self._archs += self._asked
        self._values += list(np.asarray(values, dtype=np.float64))
        self._violations += np.asarray(violations, dtype=np.float64).tolist()
        self._asked = []

    def _promising(self) -> list[Architecture]:
        """New architectures, the best of all that were predicted."""
        problem = self._problem
        rng = np.random.default_rng([problem.seed, problem.num_branches or 0, len(self._archs)])
        told = {arch.archid for arch in self._archs}
        evaluated = best_first(np.stack(self._values), np.asarray(self._violations), problem.weights)
        parents = [self._archs[index] for index in islice(evaluated, self._pool // 4)]
        predictor = _Predictor(problem, self._archs, np.stack(self._values))
        pool: dict[str, Architecture] = {}
        ranked: list[Architecture] = []
        for number in range(10 * self._rounds):
            if number >= self._rounds and len(pool) >= problem.population:
                break  # in a space that is nearly exhausted it takes more rounds
            new = {arch.archid: arch for arch in self._children(parents, rng) if arch.archid not in told}
            pool |= {archid: arch for archid, arch in new.items() if archid in pool or problem.accept(arch)}
            if not pool:
                continue
            archs = list(pool.values())
            predicted = predictor(archs, self._optimism)
            ranked = [archs[i] for i in best_first(predicted, np.zeros(len(archs)), problem.weights)]
            parents = [*ranked[: self._pool // 4], *parents[: self._pool // 8]]
            pool = {arch.archid: arch for arch in ranked[: 2 * self._pool]}
        return ranked[: problem.population]

    def _children(self, parents: Sequence[Architecture], rng: np.random.Generator) -> Iterable[Architecture]:
        space, joint = self._problem.space, self._problem.num_branches is None
        for _ in range(self._pool // 5):
            yield space.sample(rng, self._problem.num_branches)
        for _ in range(2 * self._pool // 5):
            first, second = (parents[i] for i in rng.integers(len(parents), size=2))
            for child in space.crossover(first, second, rng):
                yield space.mutate(child, rng, self._mutation_prob, joint)


class _Predictor:
    """Objectives of architectures: what is known of them, and predictions of the rest."""

    def __init__(self, problem: SearchProblem, archs: Sequence[Architecture], values: Array) -> None:
        self._problem = problem
        features = self._features(archs)
        self._models: dict[int, Regression] = {}
        for column in range(values.shape[1]):
            fine = values[:, column] < BAD  # others failed
            if self._known[0, column] == self._known[0, column] or not fine.any():
                continue
            self._models[column] = Regression(features[fine], values[fine, column], problem.seed)

    def __call__(self, archs: Sequence[Architecture], optimism: float) -> Array:
        """(N, objectives), smaller is better."""
        features = self._features(archs)
        values = np.nan_to_num(self._known)  # an objective that nobody has a value of decides nothing
        for column, model in self._models.items():
            mean, doubt = model(features)
            values[:, column] = mean - optimism * doubt
        return values

    def _features(self, archs: Sequence[Architecture]) -> Array:
        """(N, features); notes what is known of the objectives."""
        known = [self._problem.known(arch) for arch in archs]
        empty = (None,) * len(self._problem.weights)
        self._known = np.array([k or empty for k in known], dtype=np.float64)  # (N, objectives), NaN where unknown
        costs = np.log(np.abs(np.nan_to_num(self._known, nan=1.0)) + 1e-9)
        return np.hstack([np.array([describe(self._problem.space, arch) for arch in archs]), costs])


class Regression:
    """The mean of a Bayesian ridge regression and of boosted trees (scikit-learn).

    Args:
        features: (N, features).
        values: (N,).
        seed: Of the trees.
    """

    def __init__(self, features: Array, values: Array, seed: int = 0) -> None:
        # scikit-learn takes a second to import, which only a search by this algorithm is to wait for
        from sklearn.ensemble import GradientBoostingRegressor
        from sklearn.linear_model import BayesianRidge
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        self._ridge = make_pipeline(StandardScaler(), BayesianRidge()).fit(features, values)
        trees = GradientBoostingRegressor(max_depth=3, n_estimators=60, subsample=0.7, random_state=seed)
        self._trees = trees.fit(features, values)

    def __call__(self, features: Array) -> tuple[Array, Array]:
        """Predictions and their doubt, a standard deviation, (N,) each."""
        mean, std = self._ridge.predict(features, return_std=True)
        other = self._trees.predict(features)
        return (mean + other) / 2, np.hypot(std, (mean - other) / 2)


def describe(space: SearchSpace, arch: Architecture) -> list[float]:
    """An architecture in numbers: by stride the cells of each op and the sum of their widths, and the settings."""
    layout = arch.layout()
    settings = (arch.stem_width, arch.head_width, arch.head_depth, arch.head_attention, len(arch.gates))
    found = [float(value) for value in settings] + [float(LOW_LEVELS.index(arch.low_level))]
    ops = sorted({*space.ops, *space.detail_ops})
    for lane in (4, 8, 16, 32):
        cells = [cell for cell in layout.cells if cell.lane == lane]
        found += [float(sum(cell.op == op for cell in cells)) for op in ops]
        found += [float(sum(cell.width for cell in cells)), float(lane in layout.outputs)]
    return found
