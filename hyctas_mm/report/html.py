"""One page with everything a search found: ``report.html``, which needs no other file and no network."""

from __future__ import annotations

import os
from html import escape
from pathlib import Path

from hyctas_mm.report.result import SearchResult, load_search
from hyctas_mm.report.sections import (
    chosen_section,
    drawings_section,
    front_section,
    headline,
    ops_section,
    page_title,
    predictions_section,
    progress_section,
    usage_section,
)
from hyctas_mm.report.style import CSS
from hyctas_mm.report.subnets import read_subnets


def write_report(search_dir: str | Path, out: str | Path | None = None) -> Path:
    """Writes the page of a search.

    Args:
        search_dir: ``WORK_DIR/search`` or ``WORK_DIR``.
        out: The file to write, ``report.html`` in the folder of the search if None. It is replaced as a whole, so a reader never sees
            half a page.

    Returns:
        The file.

    Raises:
        FileNotFoundError: If a file of the search or the folder of ``out`` is missing.
        ValueError: If a file of the search cannot be used.
    """
    result = load_search(search_dir)
    path = Path(out) if out is not None else result.path / 'report.html'
    if not path.parent.is_dir():
        raise FileNotFoundError(f'the folder {path.parent} of the report does not exist; create it or choose another --out')
    page = render(result, os.path.relpath(result.path, path.parent))
    temporary = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    temporary.write_text(page, encoding='utf-8')
    os.replace(temporary, path)
    return path


def render(result: SearchResult, link_base: str = '.') -> str:
    """The page's text.

    Args:
        result: The search.
        link_base: Way from the page's folder to that of the search, for the links to its files.
    """
    subnets = read_subnets(result)
    sections = [
        headline(result),
        front_section(result),
        chosen_section(result, subnets),
        drawings_section(result, subnets, link_base),
        predictions_section(result),
        progress_section(result),
        ops_section(result),
        usage_section(result),
    ]
    footer = '<footer>Written by hyctas_mm. Points and cells show their values under the pointer.</footer>'
    return '\n'.join([
        '<!DOCTYPE html>',
        '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta name="color-scheme" content="light dark"><title>{escape(page_title(result))}</title>',
        f'<style>\n{CSS}\n</style></head>',
        '<body><main>',
        *(section for section in sections if section),
        f'{footer}\n</main></body></html>\n',
    ])
