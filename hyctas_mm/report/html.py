"""One page with everything a search found: ``report.html``, which needs no other file and no network."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from html import escape
from pathlib import Path

from hyctas_mm.errors import NoSuchFile
from hyctas_mm.report.commands import commands_section
from hyctas_mm.report.predictions import predictions_section
from hyctas_mm.report.result import SearchResult, load_search
from hyctas_mm.report.script import SCRIPT
from hyctas_mm.report.sections import (
    chosen_section,
    drawings_section,
    evolution_section,
    front_section,
    headline,
    ops_section,
    page_title,
    progress_section,
)
from hyctas_mm.report.sketch import sketch_data
from hyctas_mm.report.style import CSS
from hyctas_mm.report.subnets import read_subnets

_HASH = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
_POLICY = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'"
"""The browser itself sees to it that the page asks for nothing and runs no script but ours, whatever a file of the search holds."""


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
        raise NoSuchFile(f'the folder {path.parent} of the report does not exist; create it or choose another --out')
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
        evolution_section(result),
        progress_section(result),
        ops_section(result),
        commands_section(result, subnets),
    ]
    footer = '<footer>Written by hyctas_mm. It needs no other file and no network.</footer>'
    return '\n'.join(
        [
            '<!DOCTYPE html>',
            '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            f'<meta name="color-scheme" content="light dark"><title>{escape(page_title(result))}</title>',
            f'<style>\n{CSS}\n</style></head>',
            '<body><main>',
            *(section for section in sections if section),
            f'{footer}\n</main>',
            f'<script type="application/json" id="search-data">{_script_data(result)}</script>',
            f'<script>{SCRIPT}</script></body></html>\n',
        ]
    )


def _script_data(result: SearchResult) -> str:
    """What the script needs, as JSON that cannot end its element."""
    x, y = result.axes
    archs = {c.archid: c.arch for c in result.scored}
    front = sorted(result.front, key=lambda i: result.by_id[i].value(x.name) or 0.0)
    data = sketch_data(list(archs.values())) | {
        'front': front,
        'better': [o.direction for o in (x, y)],
        'last': result.last_generation,
    }
    return json.dumps(data, separators=(',', ':')).replace('<', '\\u003c')
