"""Tables and numbers of the evidence for a person, and what the command line gives as text."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from hyctas_mm.errors import BadValue, NoSuchFile
from hyctas_mm.files import read_json
from hyctas_mm.search.objectives import format_value


def show(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(*headings, title=title, title_justify='left')
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def take(cfg: Any, name: str) -> dict[str, Any]:
    """Takes a key out of a config that only this command reads."""
    if name not in cfg:
        raise BadValue(f'{cfg.filename}: no {name}=dict(...); see the configs of configs/evidence that have it')
    return dict(cfg.pop(name).to_dict())


def read_table(path: Path) -> dict[str, Any]:
    """Landmarks from their file.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is another one.
    """
    if not path.is_file():
        raise NoSuchFile(f'no file {path}; expected the landmarks.json that the command landmarks writes')
    table = read_json(path)
    if not {'networks', 'metric', 'steps', 'space'} <= table.keys():
        raise BadValue(f'{path}: no landmarks; expected the landmarks.json that the command landmarks writes')
    return table


def number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise BadValue(f'{text!r}: expected milliseconds, e.g. 8=4') from None


def values_of(items: Sequence[str]) -> dict[str, float]:
    found = {}
    for item in items:
        name, _, value = item.partition('=')
        try:
            found[name] = float(value)
        except ValueError:
            raise BadValue(f'{item!r}: expected NAME=VALUE, e.g. mIoU=0') from None
    return found


def costs_of(costs: Mapping[str, float]) -> list[str]:
    return [format_value(value) for value in costs.values()]


def interval(found: Mapping[str, Any]) -> str:
    return f'{or_dash(found["value"])} [{or_dash(found["low"])}, {or_dash(found["high"])}]'


def or_dash(value: float | None) -> str:
    return '–' if value is None else f'{value:.2f}'


def spread(found: Mapping[str, Any]) -> str:
    return format_value(found['mean']) + ('' if found['std'] is None else f' ± {format_value(found["std"])}')


def band_at(method: Mapping[str, Any], place: int) -> str:
    return f'{method["mean"][place]:.3f} ({method["low"][place]:.3f} to {method["high"][place]:.3f})'
