"""Errors that a person can mend: a config, a file or an argument.

Commands tell them in a line; anything else is a bug and keeps its traceback.
"""

from __future__ import annotations


class HyctasError(Exception):
    """The base of all. Each is also the exception of Python's own that says the same, so callers need not know ours."""

    @property
    def lines(self) -> list[str]:
        """What a command prints, a line for each problem."""
        return [str(self)]


class BadValue(HyctasError, ValueError):
    """A value that cannot be; the message names it and what was expected."""


class BadType(HyctasError, TypeError):
    """A value of a type that cannot be."""


class UnknownName(HyctasError, KeyError):
    """A name that nothing has."""

    __str__ = Exception.__str__  # KeyError's would be the repr of the message


class NoSuchFile(HyctasError, FileNotFoundError):
    """A file or folder that is not there."""


class FileInTheWay(HyctasError, FileExistsError):
    """A file that would be written over."""


class FolderBusy(HyctasError, BlockingIOError):
    """A folder that another process works in."""


class MissingPackage(HyctasError, ImportError):
    """A package that has to be installed for what was asked."""
