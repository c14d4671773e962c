"""Predictions beside the picture and the truth, in the classes' colours (the paper's Figure 5)."""

from __future__ import annotations

from html import escape
from pathlib import Path

from hyctas_mm.report.images import data_uri
from hyctas_mm.report.pareto import SHORT_ID
from hyctas_mm.report.result import SearchResult, read_object

MAX_IMAGE_BYTES = 2_500_000
"""Rows of predictions beyond this are left out, so that the page stays small enough to mail."""


def predictions_section(result: SearchResult) -> str:
    """A row per picture: the picture, the truth, each chosen network. Narrow pages put them in two columns."""
    folder = result.path / 'predictions'
    rows = sorted(p for p in folder.iterdir() if (p / 'image.png').is_file()) if folder.is_dir() else []
    if not rows:
        return ''
    columns = [('image', 'image'), ('truth', 'truth'), *((i, i[:SHORT_ID]) for i in result.chosen)]
    columns = [(stem, text) for stem, text in columns if any((row / f'{stem}.png').is_file() for row in rows)]
    body: list[str] = []
    used = 0
    for row in rows:
        pictures = ''.join(_picture(row / f'{stem}.png', row.name, text, stem in result.chosen) for stem, text in columns)
        used += len(pictures)
        if body and used > MAX_IMAGE_BYTES:
            break
        body.append(f'<div class="pictures" style="--columns:{len(columns)}" role="group" aria-label="{escape(row.name)}">{pictures}</div>')
    left = f'<p class="soft">{len(rows) - len(body)} more in <code>predictions/</code>.</p>' if len(body) < len(rows) else ''
    larger = '<label class="larger"><input type="checkbox"> larger pictures</label>'
    legend = _class_legend(result.path / 'palette.json')
    return f'<h2>Predictions</h2>\n<div class="gallery">{legend}{larger}\n{"".join(body)}</div>\n{left}'


def _picture(path: Path, row: str, text: str, network: bool) -> str:
    if not path.is_file():
        return f'<figure><div class="none">–</div><figcaption>{escape(text)}</figcaption></figure>'
    alt = escape(f'{row}: {"prediction of " if network else ""}{text}')
    name = f'<code>{escape(text)}</code>' if network else escape(text)
    return f'<figure><img src="{data_uri(path)}" alt="{alt}"><figcaption>{name}</figcaption></figure>'


def _class_legend(path: Path) -> str:
    if not path.is_file():
        return ''
    data = read_object(path)
    items = zip(data.get('classes', []), data.get('palette', []), strict=False)
    entries = [f'<li><i style="background:rgb({",".join(str(int(v)) for v in rgb)})"></i>{escape(str(name))}</li>' for name, rgb in items]
    return f'<ul class="classes" aria-label="Colours of the classes">{"".join(entries)}</ul>'
