"""A line that says how far a long step is and how long it still takes."""

from __future__ import annotations

import datetime
import sys
import time


class Progress:
    """Prints ``label 340/1000, 0:01:20 left, note``: rewritten in place on a terminal, a new line every ten seconds otherwise.

    Args:
        label: What is being done.
        total: Number of steps.
        done: Steps that were done before, e.g. by a run that is resumed.
    """

    def __init__(self, label: str, total: int, done: int = 0) -> None:
        self.label, self.total, self.done = label, total, done
        self._first, self._start = done, time.monotonic()
        self._shown = -1e9
        self._live = sys.stdout.isatty()

    def update(self, done: int, note: str = '') -> None:
        """Says that ``done`` steps are done."""
        self.done = done
        now = time.monotonic()
        if now - self._shown < (0.2 if self._live else 10) and done < self.total:
            return
        self._shown = now
        fresh = done - self._first
        left = str(datetime.timedelta(seconds=round((now - self._start) / fresh * (self.total - done)))) if fresh > 1 else '...'
        text = f'{self.label} {done}/{self.total}, {left} left{", " * bool(note)}{note}'
        if self._live:
            print(f'\r\033[K{text}', end='\n' if done >= self.total else '', flush=True)
        else:
            print(text, flush=True)
