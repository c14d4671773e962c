"""The table that decides which evaluator stays: what each one's picks are worth at equal compute, by the landmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hyctas_mm.errors import BadValue
from hyctas_mm.studies.ceiling import SCOPES, Ceiling, ceiling, complete, take_out, truth
from hyctas_mm.studies.correlation import Array, correlate
from hyctas_mm.studies.judges import Judge, judges_of, surrogates_of

BUDGETS = (3000, 6000, 12000)
PLAYS = 10
"""Random draws of candidates for each resampling, where gains are not computed."""


def replay(
    table: Mapping[str, Any],
    budgets: Sequence[int] = BUDGETS,
    bins: int = 5,
    window: int = 24,
    draws: int = 400,
    seed: int = 0,
) -> dict[str, Any]:
    """Lets every judge choose in each latency bin with the same number of training steps.

    The steps are shared out over the bins after what a judge needs once. In a bin random candidates are judged, and the
    best one is picked. Its gain is its true score, by trainings that the judge did not see, less that of a random
    network of the bin. Candidates are drawn with replacement, no more than there are landmarks in a bin, and from a
    window of landmarks that overlaps with those of the next bins, as there are too few to leave any out; a line
    in log latency is taken out of scores and truth, so "slower is better" is no merit.

    Rule: an evaluator stays only if it beats training budget / 300 random networks fully, by two standard errors
    (bootstrap over networks), for one of the budgets.

    Args:
        table: The landmarks.
        budgets: Training steps in all.
        bins: Latency bins, in each of which one network is picked.
        window: Landmarks that the candidates of a bin are drawn from.
        draws: Resamplings.
        seed: Of what is drawn.

    Returns:
        ``rows``, one a judge: ``gain`` and ``over`` (the gain less that of training fully) by budget, each with its
        value and standard error ``se``; for those of one stage ``tau`` and ``rho`` by scope, with their ``share`` of
        the ceiling; ``stays``; and ``best``: by budget the judge of the largest gain among those that stay.

    Raises:
        ValueError: With fewer than two seeds or ten networks, or too small a budget.
    """
    judges = judges_of(table)
    if min(budgets) < bins * judges[0].steps:
        raise BadValue(
            f'budgets {list(budgets)}; expected {bins * judges[0].steps:g} steps or more, one full training in each of '
            f'the {bins} latency bins'
        )
    latency = np.log([entry['costs']['latency_ms'] for entry in complete(table)])
    rng, number = np.random.default_rng(seed), len(latency)
    order, window = np.argsort(latency, kind='stable'), min(window, number)
    starts = np.linspace(0, number - window, bins).round().astype(int)

    def windows(sample: Array) -> list[Array]:
        """Landmarks of each bin, (rows, window), of sorted places in the order of latency, (rows, networks)."""
        return [order[sample[:, start : start + window]] for start in starts]

    drawn = windows(np.sort(rng.integers(number, size=(draws, number)), axis=1))
    rows: dict[str, dict[str, Any]] = {}
    full: dict[int, Array] = {}
    ends = truth(table)
    ceilings = {scope: ceiling(table, scope) for scope in SCOPES}
    for budget in budgets:
        for judge in (*judges, *surrogates_of(table, judges, budget)):
            row = rows.setdefault(judge.name, dict(judge=judge.name, gain={}, over={}, candidates={}))
            candidates = _candidates(judge, budget, bins, window)
            if candidates is None:
                continue
            # all landmarks as they are, more than once where chance decides
            whole = windows(np.tile(np.arange(number), (max(1, draws // 8) if len(judge.each) > 1 else 1, 1)))
            value = _gains(judge, ends, latency, whole, candidates, rng).mean()
            resampled = _gains(judge, ends, latency, drawn, candidates, rng)
            known = full.setdefault(budget, np.append(resampled, value))
            row['gain'][str(budget)] = dict(value=float(value), se=float(resampled.std()))
            difference = resampled - known[:-1]
            row['over'][str(budget)] = dict(value=float(value - known[-1]), se=float(difference.std()))
            row['candidates'][str(budget)] = candidates
            row |= dict(before=judge.before, each=judge.steps)
            # several stages end with full trainings; a larger budget makes another surrogate
            if len(judge.each) == 1 and ('tau' not in row or judge not in judges):
                row |= _agreement(judge, table, ends, ceilings)
    kept = [row for row in rows.values() if row['gain']]
    for row in kept:
        row['stays'] = row is not kept[0] and any(over['value'] > 2 * over['se'] for over in row['over'].values())
    best = {}
    for spent in map(str, budgets):
        staying = [row for row in kept if row['stays'] and spent in row['gain']]
        best[spent] = max(staying or kept[:1], key=lambda row: row['gain'][spent]['value'])['judge']
    return dict(
        metric=table['metric'], networks=number, seeds=ends.shape[1], bins=bins, window=window, budgets=list(budgets),
        full_steps=table['steps'], rows=kept, best=best,
    )  # fmt: skip


def _candidates(judge: Judge, budget: float, bins: int, most: int) -> int | None:
    """How many a judge can look at in each bin; None if it cannot be had.

    No more than there are landmarks in a window: of more the pick is always the same one, of which nothing follows.
    """
    left = budget - judge.before
    if left < 0:
        return None
    if not judge.steps:
        return most
    found = min(most, int(left / bins / judge.steps))
    while found and bins * _spent(judge, found) > left:  # who goes on is a whole number
        found -= 1
    return found or None


def _spent(judge: Judge, candidates: int) -> float:
    """Training steps for so many candidates, of which the best go on from stage to stage."""
    more = np.diff(judge.each, prepend=0.0)
    return float(sum(part * _going_on(judge, candidates, stage) for stage, part in enumerate(more)))


def _going_on(judge: Judge, candidates: int, stage: int) -> int:
    return max(1, round(candidates / judge.reduction**stage))


def _gains(
    judge: Judge, ends: Array, latency: Array, places: Sequence[Array], candidates: int, rng: np.random.Generator
) -> Array:
    """Gains of the pick, (draws,), mean over bins and columns.

    Args:
        judge: Who picks.
        ends: (networks, seeds).
        latency: (networks,), its logarithm.
        places: Of each bin (draws, networks of the bin), as indices.
        candidates: Looked at in each bin.
        rng: Random state.
    """
    found = []
    for column, seed in enumerate(judge.seeds):
        true = _without_line(_truth(ends, seed), latency)
        scores = np.array([_without_line(stage[column], latency) for stage in judge.scores])
        for rows in places:
            if len(scores) == 1:
                picked = _expected_pick(scores[0][rows], true[rows], candidates)
            else:
                picked = _halved(judge, scores, true, rows, candidates, rng)
            found.append(picked - true[rows].mean(axis=1))
    gains: Array = np.mean(found, axis=0)
    return gains


def _expected_pick(scores: Array, true: Array, candidates: int) -> Array:
    """The expected truth of the best-scored of so many draws with replacement, exactly.

    Args:
        scores: (draws, N), NaN for who is no candidate.
        true: (draws, N).
        candidates: Number of draws with replacement.
    """
    order = np.argsort(-np.where(np.isfinite(scores), scores, -np.inf), axis=1, kind='stable')
    number = np.maximum(1, np.isfinite(scores).sum(axis=1, keepdims=True))
    worse = np.clip(number - np.arange(scores.shape[1] + 1), 0, None) / number  # share that is not among the first
    chances = worse[:, :-1] ** candidates - worse[:, 1:] ** candidates
    expected: Array = (chances * np.take_along_axis(true, order, axis=1)).sum(axis=1)
    return expected


def _halved(judge: Judge, scores: Array, true: Array, rows: Array, candidates: int, rng: np.random.Generator) -> Array:
    """The truth of what is left after all stages, the mean over random candidates, (draws,)."""
    shape = (len(rows), PLAYS, candidates)
    alive = np.take_along_axis(rows[:, None, :].repeat(PLAYS, axis=1), rng.integers(rows.shape[1], size=shape), axis=2)
    for number, stage in enumerate(scores, 1):
        keep = _going_on(judge, candidates, number) if number < len(scores) else 1
        best = np.argsort(-stage[alive], axis=2, kind='stable')[:, :, :keep]
        alive = np.take_along_axis(alive, best, axis=2)
    left: Array = true[alive[:, :, 0]].mean(axis=1)
    return left


def _agreement(
    judge: Judge, table: Mapping[str, Any], ends: Array, ceilings: Mapping[str, Ceiling]
) -> dict[str, dict[str, dict[str, float | None]]]:
    """Kendall's tau and Pearson's rho, means over columns, and their shares of the ceiling."""
    networks, out = complete(table), dict[str, dict[str, dict[str, float | None]]](tau={}, rho={})
    for scope in SCOPES:
        found = []
        for scores, seed in zip(judge.scores[0], judge.seeds, strict=True):
            there = np.flatnonzero(np.isfinite(scores))
            rest = take_out([networks[i] for i in there], scope)
            pair = rest(np.column_stack([scores, _truth(ends, seed)])[there])
            found.append(correlate(pair[:, 0], pair[:, 1]))
        most = ceilings[scope].rho(ends.shape[1] - (judge.seeds[0] is not None))
        for name, key, top in (
            ('tau', 'kendall_tau', 2 / np.pi * np.arcsin(most)),
            ('rho', 'pearson_rho', most),
        ):
            value = float(np.mean([entry[key] for entry in found]))
            share = value / top if top > 0 else np.nan
            out[name][scope] = dict(value=_number(value), share=_number(float(share)))
    return out


def _truth(ends: Array, seed: int | None) -> Array:
    """Means over trainings, without the one that a judge saw."""
    mean: Array = (ends if seed is None else np.delete(ends, seed, axis=1)).mean(axis=1)
    return mean


def _without_line(values: Array, latency: Array) -> Array:
    """Values less a line in log latency through those that are there."""
    there = np.isfinite(values)
    line: Array = np.polyval(np.polyfit(latency[there], values[there], 1), latency)
    return values - line


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return value if np.isfinite(value) else None
