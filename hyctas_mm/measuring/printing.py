"""Measurements for people and for files: tables, and the conditions that they hold for."""

from __future__ import annotations

import datetime
import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from hyctas_mm.costs import Target, device_name
from hyctas_mm.errors import BadValue


def conditions(
    device: str, threads: int | None = None, clock: str = 'wall', targets: Sequence[Target] = ()
) -> dict[str, Any]:
    """Sets the threads and says what a measurement holds for.

    Args:
        device: Where networks run.
        threads: PyTorch's threads; as they are if None.
        clock: One of :data:`~hyctas_mm.costs.CLOCKS`.
        targets: What the networks run in, whose versions are told.

    Raises:
        ValueError: For fewer threads than one.
    """
    if threads is not None:
        if threads < 1:
            raise BadValue(f'--threads {threads}; expected 1 or more')
        torch.set_num_threads(threads)
    software = dict(torch=torch.__version__, python=platform.python_version())
    for target in targets:
        software |= target.software.versions()
    here = dict(
        device=device_name(torch.device(device)), threads=torch.get_num_threads(), clock=clock, software=software
    )
    return here | dict(date=datetime.datetime.now().isoformat(timespec='seconds'), load_average=os.getloadavg()[0])


def describe(here: Mapping[str, Any]) -> str:
    """The conditions in one line."""
    software = ', '.join(f'{name} {version}' for name, version in here['software'].items())
    return (
        f'{here["device"]}, {here["threads"]} threads, {here["clock"]} clock, load {here["load_average"]:.1f}, '
        f'{software}, {here["date"]}'
    )


def report(table: Table, path: Path | None, here: Mapping[str, Any], **content: Any) -> None:
    """Prints a table and its conditions, and writes both with all numbers if asked to."""
    show(table)
    print(describe(here))
    write(path, dict(here) | content)


def show(table: Table) -> None:
    """Prints a table as wide as the terminal, or wide enough."""
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def write(path: Path | None, content: Mapping[str, Any]) -> None:
    """Writes JSON, if to a path."""
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')
