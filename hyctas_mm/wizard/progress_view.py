"""One view of a job of several steps: bars on a terminal, plain lines otherwise."""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Column

from hyctas_mm.engine.hooks.progress_hook import ProgressHook
from hyctas_mm.engine.progress import Progress
from hyctas_mm.registry import HOOKS

STEPS = dict(
    supernet='supernet steps',
    search='search candidates',
    retraining='retraining steps',
    deploy='networks with files',
    report='report',
)
"""The steps of a job in order, each with what is counted in it."""
_RECENT_SECONDS, _BETWEEN_SECONDS = 600.0, 0.2
_shown: list[View] = []


class View:
    """Prints a line every ten seconds, to stdout as it is now, whatever it is redirected to later.

    A hook is made from a config and cannot be handed a view, so while a view is entered (``with view:``)
    :class:`ViewHook` reports to it.

    Attributes:
        step: The step that is being done, a key of :data:`STEPS`.
    """

    def __init__(self) -> None:
        self.step = ''
        self._out = sys.stdout
        self._lines: Progress | None = None

    def begin(self, step: str) -> None:
        """Says that a step begins."""
        self.step, self._lines = step, None

    def update(self, done: int, total: int, note: str = '') -> None:
        """Says how far the present step is."""
        if self._lines is None:
            self._lines = Progress(STEPS[self.step], total, done - 1)
        with contextlib.redirect_stdout(self._out):
            self._lines.update(done, note)

    def end(self, note: str = '') -> None:
        """Says that the present step is done, and what came of it."""
        print(f'{self.step}: {note or "done"}', file=self._out, flush=True)

    def __enter__(self) -> View:
        _shown.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _shown.remove(self)


class BarsView(View):
    """All steps at once, a bar each.

    Args:
        console: Where to draw, if not stdout as it is now.
    """

    def __init__(self, console: Console | None = None) -> None:
        super().__init__()
        columns = (
            TextColumn('{task.description}'),
            BarColumn(bar_width=24),
            TextColumn('{task.fields[count]}'),
            TimeRemainingColumn(compact=True),
            TextColumn(
                '{task.fields[note]}', markup=False, table_column=Column(no_wrap=True, overflow='ellipsis', ratio=1)
            ),
        )
        # drawn on updates only: a thread that draws would be in the way of data loaders that fork
        self._bars = Bars(
            *columns,
            console=console or Console(file=sys.stdout),
            auto_refresh=False,
            speed_estimate_period=_RECENT_SECONDS,
            expand=True,
        )
        self._tasks: dict[str, TaskID] = {
            step: self._bars.add_task(step, start=False, total=1, count='', note='waiting') for step in STEPS
        }
        self._begun = False
        self._drawn = -math.inf

    def begin(self, step: str) -> None:
        self.step, self._begun, self._drawn = step, False, -math.inf
        self._set(note='', count='...')

    def update(self, done: int, total: int, note: str = '') -> None:
        if not self._begun:
            self._begun = True
            # what was done before says nothing of the speed
            self._bars.reset(self._tasks[self.step], total=total, completed=done - 1)
        now = time.monotonic()
        if now - self._drawn >= _BETWEEN_SECONDS or done >= total:
            self._drawn = now
            self._set(completed=done, count=f'{done}/{total}', note=note)

    def end(self, note: str = '') -> None:
        if not self._begun:
            self._bars.reset(self._tasks[self.step], total=1, completed=1)
        total = self._bars.tasks[self._tasks[self.step]].total
        self._set(completed=total, note=note or 'done', **({} if self._begun else dict(count='')))

    def _set(self, **fields: Any) -> None:
        self._bars.update(self._tasks[self.step], **fields)
        self._bars.refresh()

    def __enter__(self) -> View:
        self._bars.start()
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._bars.stop()


def make_view() -> View:
    """Bars on a terminal, plain lines otherwise."""
    return BarsView() if sys.stdout.isatty() else View()


@HOOKS.register_module()
class ViewHook(ProgressHook):
    """Reports a training or a search to the view that is shown; does nothing where there is none.

    Args:
        label: Put before each note, e.g. the network that is trained.
        number: How many runs of the same length were done before this one in the step.
        runs: How many there are.
    """

    def __init__(self, label: str = '', number: int = 0, runs: int = 1) -> None:
        super().__init__(label)
        self.number, self.runs = number, runs

    def show(self, done: int, total: int, note: str) -> None:
        if _shown:
            _shown[-1].update(
                self.number * total + done, self.runs * total, ' '.join(part for part in (self.label, note) if part)
            )


def with_view_hook(hooks: Sequence[Any] | None, **options: Any) -> list[Any]:
    """A config's ``custom_hooks`` with a :class:`ViewHook`."""
    return [*(hooks or ()), dict(type='ViewHook', **options)]
