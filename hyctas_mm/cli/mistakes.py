"""How the command lines tell errors: a person's mistake in a line, a bug with its traceback."""

from __future__ import annotations

import errno
import functools
import os
import sys
from collections.abc import Callable
from typing import ParamSpec

from hyctas_mm.errors import HyctasError

P = ParamSpec('P')

DEBUG = 'HYCTAS_DEBUG'
"""The environment variable that shows the traceback of everything."""

_LOST = ('Connection closed by peer', 'Connection reset by peer', 'NCCL error', 'Broken pipe')
"""What gloo and NCCL say where a process of theirs has gone."""

_MACHINE = (errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def tells_mistakes(main: Callable[P, int | None]) -> Callable[P, int]:
    """Makes the ``main`` of a command end with status 2 and ``error: what is wrong`` on a person's mistake; a bug is
    raised as it is.

    Example:
        >>> @tells_mistakes
        ... def main() -> None:
        ...     raise ValueError('unknown')  # no HyctasError: raised
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
    lines = mistake(error)
    if lines is None or os.environ.get(DEBUG):
        raise error
    for line in lines:
        print(f'error: {line}', file=sys.stderr)
    return 2


def mistake(error: Exception) -> list[str] | None:
    """What to tell a person whose config, data, files or arguments led to an error, a line for each problem; None for
    a bug.

    A mistake is any :class:`~hyctas_mm.errors.HyctasError`, of a data loader's process too, what the machine refuses
    to write or read, and another process of a launcher that was lost.
    """
    if isinstance(error, OSError) and error.errno in _MACHINE:
        return [str(error)]
    if isinstance(error, RuntimeError) and any(words in str(error) for words in _LOST):
        said = str(error).splitlines()[0]
        return [
            f'another process of this run ended or cannot be reached ({said}); see what that one said, then go on with '
            '--resume where the tool has it'
        ]
    if not isinstance(error, HyctasError):
        return None
    if 'Original Traceback' in str(error):  # torch hands on what a data loader's process raised as a text
        return [str(error).rsplit(f'{type(error).__name__}: ', 1)[-1].strip()]
    return error.lines
