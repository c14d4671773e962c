"""What is said of each candidate of a search, with the time left."""

from __future__ import annotations

import datetime
import logging

from mmengine.logging import print_log
from mmengine.runner import Runner

from hyctas_mm.engine.hooks.progress_hook import ProgressHook
from hyctas_mm.search import Candidate, Objective


class SearchProgress:
    """Logs a line for each candidate and shows it through the :class:`~hyctas_mm.engine.hooks.ProgressHook`.

    Args:
        runner: The runner.
        objectives: Whose values are told.
        generations: Generations of each track.
        total: Candidates of the whole search.

    Attributes:
        done: Candidates so far.
    """

    def __init__(self, runner: Runner, objectives: tuple[Objective, ...], generations: int, total: int) -> None:
        self._runner, self._objectives, self._generations, self._total = runner, objectives, generations, total
        self._seconds = 0.0
        self.done = 0

    def __call__(self, candidate: Candidate) -> None:
        """Tells of the next candidate."""
        self.done += 1
        self._seconds += candidate.seconds
        left = datetime.timedelta(seconds=round((self._total - self.done) * self._seconds / self.done))
        values = ', '.join(o.with_value(candidate.value(o.name)) for o in self._objectives)
        place = f'{track_name(candidate.track)}, generation {candidate.generation + 1}/{self._generations}'
        note = f'{place}: {candidate.archid} {values}' + (
            f' [{candidate.violations[0]}]' if candidate.violations else ''
        )
        self.say(f'[{self.done}/{self._total}, {left} left] {note}')
        for hook in self._runner.hooks:
            if isinstance(hook, ProgressHook):
                hook.show(self.done, self._total, note)

    def say(self, text: str) -> None:
        """Logs a line."""
        print_log(text, logger=self._runner.logger, level=logging.INFO)


def track_name(track: int | None) -> str:
    """A track for a person."""
    return 'joint' if track is None else f'{track} branch{"es" if track > 1 else ""}'
