"""Templates and assets, in folders beside this file. What a template writes is escaped unless it is Markup."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from hyctas_mm.archs import STRIDES
from hyctas_mm.report.ops import INK, op_color, op_short
from hyctas_mm.search.objectives import format_value, label_of

_FOLDER = Path(__file__).parent


def number(value: float | None) -> str:
    """About four digits, or a dash."""
    return '–' if value is None else format_value(value)


def count(value: float | None) -> str:
    """A whole number, or a dash."""
    return '–' if value is None else f'{value:,.0f}'


def seconds(value: float) -> str:
    """E.g. ``'2 h 5 min'``, ``'20 min 34 s'``, ``'12 s'``."""
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f'{hours} h {minutes} min'
    return f'{minutes} min {rest} s' if minutes else f'{rest} s'


def _short(value: Any) -> Any:
    """Coordinates without the noise of floating point."""
    return f'{value:g}' if isinstance(value, float) else value


_TEMPLATES = Environment(
    loader=FileSystemLoader(_FOLDER / 'templates'),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    finalize=_short,
)
_TEMPLATES.filters.update(
    number=number, count=count, seconds=seconds, op_color=op_color, op_short=op_short, label_of=label_of
)
_TEMPLATES.globals.update(STRIDES=STRIDES, INK=INK)
_TEMPLATES.policies['json.dumps_kwargs'] = {'separators': (',', ':')}


def fill(template: str, **values: Any) -> Markup:
    """A template of the folder ``templates`` with its values."""
    return Markup(_TEMPLATES.get_template(template).render(values))


def asset(name: str) -> Markup:
    """A file of the folder ``assets``, to be put into a page as it is."""
    return Markup((_FOLDER / 'assets' / name).read_text(encoding='utf-8'))
