"""How the command lines tell errors: a person's mistake in a line, a bug with its traceback."""

from __future__ import annotations

import errno
import functools
import os
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

from hyctas_mm.engine.new_search.data import DataError
from hyctas_mm.engine.workers import SearchError

P = ParamSpec('P')

DEBUG = 'HYCTAS_DEBUG'
"""The environment variable that shows the traceback of everything."""

_PACKAGE = Path(__file__).resolve().parents[1]
_OWN_FOLDERS = (_PACKAGE, _PACKAGE.parent / 'tools')
_KINDS = (ValueError, OSError, KeyError, TypeError, ImportError, SearchError)
_MACHINE = (errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_FRAME = re.compile(r'^ *File "(.+)", line \d+, in .*\n *(.*)$', re.MULTILINE)


def tells_mistakes(main: Callable[P, int | None]) -> Callable[P, int]:
    """Makes the ``main`` of a command end with status 2 and ``error: what is wrong`` on a person's mistake; a bug is raised as it is.

    Example:
        >>> @tells_mistakes
        ... def main() -> None:
        ...     raise ValueError('unknown')  # outside of this project: raised
    """

    @functools.wraps(main)
    def told(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            return main(*args, **kwargs) or 0
        except Exception as error:
            return tell(error)

    return told


def tell(error: Exception) -> int:
    """Prints a person's mistake, every problem in a line of its own; returns the exit status.

    Raises:
        Exception: The error itself if it is a bug, or ``HYCTAS_DEBUG`` is set.
    """
    message = mistake(error)
    if message is None or os.environ.get(DEBUG):
        raise error
    for line in error.problems if isinstance(error, DataError) else [message]:
        print(f'error: {line}', file=sys.stderr)
    return 2


def mistake(error: Exception) -> str | None:
    """What to tell a person whose config, data, files or arguments led to an error; None for a bug.

    A mistake is what a ``raise`` of this project refuses, in a data loader's process too, and what the machine refuses to write or read. The
    same exception from anywhere else (an expression of ours, torch, a user's own op) is a bug, and its traceback is of use.
    """
    if isinstance(error, OSError) and error.errno in _MACHINE:
        return str(error)
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)  # of a KeyError, str() is the repr of the text
    frames = [(frame.filename, frame.line or '') for frame in traceback.extract_tb(error.__traceback__)]
    if 'Original Traceback' in text:  # torch hands on what a data loader's process raised as a text
        frames += _FRAME.findall(text)
        text = text.rsplit(f'{type(error).__name__}: ', 1)[-1].strip()
    if not frames or not isinstance(error, _KINDS):
        return None
    file, line = frames[-1]
    own = any(Path(file).resolve().is_relative_to(folder) for folder in _OWN_FOLDERS)
    return text if own and line.lstrip().startswith('raise ') else None
