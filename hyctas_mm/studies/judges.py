"""Ways of judging networks, replayed from landmarks: what each said, and after how many training steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hyctas_mm.archs import Architecture, SearchSpace
from hyctas_mm.errors import BadValue
from hyctas_mm.search.algorithms.surrogate import Regression, describe
from hyctas_mm.studies.ceiling import complete, scores_after, truth
from hyctas_mm.studies.correlation import Array

JUDGES = 'judges'
"""Where a table of landmarks keeps what other evaluators said: by name ``before`` and ``each`` (training steps once,
and for each network) and ``scores`` by archid.
"""
LEAST_LABELS = 6
"""Networks trained fully, below which no surrogate is fitted."""
SPLITS = 8


@dataclass(frozen=True, eq=False)
class Judge:
    """What judges networks.

    Attributes:
        name: For a person.
        scores: (stages, columns, networks), larger is better, NaN for who was not judged. Columns are repetitions, e.g.
            seeds. Several stages halve: the best ones of a stage go on to the next.
        seeds: By column, which training of a network the scores come from: the truth leaves it out. None for none.
        each: Training steps of a network that was scored in a stage, those of the stages before included.
        before: Training steps that are done once, e.g. the supernet's.
        reduction: Of how many networks one goes on to the next stage.
    """

    name: str
    scores: Array
    seeds: tuple[int | None, ...]
    each: tuple[float, ...] = (0.0,)
    before: float = 0.0
    reduction: int = 3

    @property
    def steps(self) -> float:
        """Training steps for each network that is begun with."""
        more = np.diff(self.each, prepend=0.0)
        return float(sum(part / self.reduction**stage for stage, part in enumerate(more)))


def judges_of(table: Mapping[str, Any]) -> list[Judge]:
    """All judges of a table but surrogates; the first is training each network fully.

    Raises:
        ValueError: With fewer than two seeds, or if a recorded judge lacks a network.
    """
    networks, seeds = complete(table), truth(table).shape[1]
    if seeds < 2 or len(networks) < 10:
        raise BadValue(f'{len(networks)} networks of {seeds} seeds; expected 10 networks and 2 seeds or more')
    curve = next(iter(networks[0]['curves'].values()))
    rungs, last = sorted(map(int, curve['scores'])), int(table['steps'])
    images = 'held_out' if 'held_out' in curve['scores'][str(last)] else 'val'
    own = tuple(range(seeds))
    at = {rung: scores_after(table, str(rung), images).T for rung in rungs if rung <= last}
    trained = {rung: Judge(f'{rung} steps', scores[None], own, (rung,)) for rung, scores in at.items()}
    found = [replace(trained.pop(last), name='trained fully'), *trained.values()]
    if 'losses' in curve:
        found += [Judge(f'loss of {r} steps', _losses(networks, r)[None], own, (r,)) for r in at if r < last]
    for steps, reduction in ((sorted({rungs[0], rungs[min(1, len(rungs) - 1)], last}), 3), (sorted(at), 2)):
        name = f'halving {"-".join(map(str, steps))} by {reduction}'
        found.append(Judge(name, np.stack([at[s] for s in steps]), own, tuple(steps), reduction=reduction))
    for name, entry in table.get(JUDGES, {}).items():
        if missing := [n['archid'] for n in networks if n['archid'] not in entry['scores']]:
            raise BadValue(f'the judge {name!r} lacks {len(missing)} networks, e.g. {missing[0]}; record it again')
        scores = np.array([entry['scores'][n['archid']] for n in networks])
        judge = Judge(name, scores[None, None], (None,), (entry['each'],), entry['before'])
        stages = np.stack([np.tile(scores, (seeds, 1)), at[last]])
        each = (judge.steps, judge.steps + last)
        found += [judge, Judge(f'{name}, a ninth trained', stages, own, each, judge.before, reduction=9)]
    costs: dict[str, Callable[[Mapping[str, float]], float]] = {
        'log params': lambda known: np.log(known['params_m']),
        'log MACs': lambda known: np.log(known['macs_g']),
    }
    found += [
        Judge(name, np.array([cost(n['costs']) for n in networks])[None, None], (None,)) for name, cost in costs.items()
    ]
    return found


def surrogates_of(table: Mapping[str, Any], judges: Sequence[Judge], budget: float) -> Iterator[Judge]:
    """Surrogates that a budget allows: half of it trains random networks fully, by which scores are predicted from
    what a network is made of and from what other judges say of it; the other half lets these judge the candidates.

    What is predicted was not trained (cross-validation by random splits).

    Args:
        table: The landmarks.
        judges: Those of the table, the first the full training. A surrogate is made on none of them, on all that
            cost nothing, on the shortest training (score and loss), and on each recorded one.
        budget: Training steps in all.
    """
    networks, full = complete(table), judges[0]
    space = SearchSpace.from_dict(table['space'])
    made_of = [
        describe(space, Architecture.from_dict(n['arch'])) + np.log(list(n['costs'].values())).tolist()
        for n in networks
    ]
    free = [judge for judge in judges if not judge.before and judge.each == (0.0,)]
    own = [judge for judge in judges if judge.seeds == full.seeds and not judge.before and len(judge.each) == 1]
    shortest = [judge for judge in own if judge.steps == min(j.steps for j in own)]  # score and loss
    recorded = [[j] for j in judges if j.name in table.get(JUDGES, {}) and j not in free]
    groups = {f' on {group[0].name}': group for group in (shortest, *recorded)}
    for name, group in {'': [], ' on what costs nothing': free, **groups}.items():
        before, each = (max((getattr(judge, what) for judge in group), default=0.0) for what in ('before', 'steps'))
        labels = min(int((budget - before) / 2 // full.steps), len(networks) * 2 // 3)
        if labels < LEAST_LABELS:
            continue
        columns, seeds = [], []
        for seed in range(len(full.seeds)):
            said = [judge.scores[0, seed if len(judge.seeds) > 1 else 0] for judge in group]
            features = np.column_stack([np.array(made_of), *said])
            for split in range(SPLITS):
                trained = np.random.default_rng([seed, split]).permutation(len(networks))[:labels]
                predicted, _ = Regression(features[trained], full.scores[0, seed, trained])(features)
                predicted[trained] = np.nan
                columns.append(predicted)
                seeds.append(seed)
        spent = before + labels * full.steps
        yield Judge(f'surrogate{name}', np.array(columns)[None], tuple(seeds), (each,), spent)


def _losses(networks: Sequence[Mapping[str, Any]], steps: int) -> Array:
    """How low the loss was in the second half of the first steps, (seeds, networks)."""
    return -np.array(
        [[np.mean(curve['losses'][steps // 2 : steps]) for curve in entry['curves'].values()] for entry in networks]
    ).T
