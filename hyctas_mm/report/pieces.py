"""Small pieces of HTML that several sections are made of. What comes from a file is escaped by whoever passes it on."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from hyctas_mm.report.pareto import KEY_STRENGTHS, track_style
from hyctas_mm.report.result import SearchResult
from hyctas_mm.search.objectives import format_value

_SHAPES = {'o': 'M5 0a5 5 0 1 1-.01 0z', 's': 'M.5.5h9v9h-9z', '^': 'M5 0l5 9.5H0z', 'D': 'M5 0l5 5-5 5-5-5z'}


def code(text: str) -> str:
    """Escaped text in a fixed-width font."""
    return f'<code>{escape(text)}</code>'


def number(value: float | None) -> str:
    """About four digits, or a dash."""
    return '–' if value is None else format_value(value)


def count(value: float | None) -> str:
    """A whole number, or a dash."""
    return '–' if value is None else f'{value:,.0f}'


def scroll(content: str, label: str) -> str:
    """A box that scrolls by itself, so that the page never does sideways; the keyboard reaches it, so it has a name.

    Args:
        content: HTML.
        label: What is in it, for screen readers.
    """
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(label)}">{content}</div>'


def table(head: Sequence[str], rows: Sequence[Sequence[str]], label: str, attributes: Sequence[str] = ()) -> str:
    """A table whose first column names its rows.

    Args:
        head: HTML of the head's cells.
        rows: HTML of the cells.
        label: What the table shows, for screen readers.
        attributes: Of each row's ``<tr>``.
    """
    body = []
    for index, row in enumerate(rows):
        extra = f' {attributes[index]}' if attributes and attributes[index] else ''
        cells = ''.join(f'<td>{cell}</td>' for cell in row[1:])
        body.append(f'<tr{extra}><th scope="row">{row[0]}</th>{cells}</tr>')
    header = ''.join(f'<th scope="col">{cell}</th>' for cell in head)
    return scroll(f'<table><thead><tr>{header}</tr></thead><tbody>{"".join(body)}</tbody></table>', label)


def track_key(result: SearchResult, generations: bool = True, together: bool = False) -> str:
    """What the colours and markers of a figure mean, as a list above it.

    Args:
        result: The search.
        generations: Whether the figure goes from faint to strong.
        together: Whether it has a dashed line for all tracks together.
    """
    entries = []
    for track in result.tracks:
        style = track_style(track)
        mark = f'<svg viewBox="0 0 10 10" aria-hidden="true"><path fill="{style.color}" d="{_SHAPES[style.marker]}"/></svg>'
        entries.append(f'<li>{mark}{style.label}</li>')
    if generations and result.last_generation:
        dots = ''.join(f'<circle cx="{5 + 11 * i}" cy="5" r="4.5" fill-opacity="{a}"/>' for i, a in enumerate(KEY_STRENGTHS))
        mark = f'<svg class="dots" viewBox="0 0 43 10" aria-hidden="true">{dots}</svg>'
        entries.append(f'<li>{mark}generation 0 to {result.last_generation}</li>')
    if together and len(result.tracks) > 1:
        line = '<path d="M0 5h30" stroke="currentColor" stroke-width="1.6" stroke-dasharray="5 2.5"/>'
        entries.append(f'<li><svg class="dots" viewBox="0 0 30 10" aria-hidden="true">{line}</svg>all together</li>')
    return f'<ul class="key">{"".join(entries)}</ul>'
