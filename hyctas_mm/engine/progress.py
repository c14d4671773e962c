"""What is shown of long steps: a line that says how far they are and how long they still take, in place of the logs."""

from __future__ import annotations

import contextlib
import datetime
import logging
import os
import sys
import time
from collections.abc import Iterator

from mmengine.logging import MMLogger


class Progress:
    """Prints ``label 340/1000, 0:01:20 left, note``: rewritten in place on a terminal, a new line every ten seconds
    otherwise.

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
        left = (
            str(datetime.timedelta(seconds=round((now - self._start) / fresh * (self.total - done))))
            if fresh > 1
            else '...'
        )
        text = f'{self.label} {done}/{self.total}, {left} left{", " * bool(note)}{note}'
        if self._live:
            print(f'\r\033[K{text}', end='\n' if done >= self.total else '', flush=True)
        else:
            print(text, flush=True)


@contextlib.contextmanager
def quiet_runners() -> Iterator[None]:
    """Runners that are built inside log to their files only; errors are raised anyway."""
    before = set(MMLogger._instance_dict)
    with open(os.devnull, 'w') as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        yield
    for name, logger in MMLogger._instance_dict.items():
        for handler in logger.handlers if name not in before else ():
            if type(handler) is logging.StreamHandler:
                handler.setLevel(logging.CRITICAL + 1)  # its stream is closed now
