"""How a search by gradients made up its mind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from hyctas_mm.report.pareto import track_style
from hyctas_mm.report.result import SearchResult
from hyctas_mm.report.svg import PAGE_INK, new_axes, to_svg
from hyctas_mm.search.archive import SearchFileError
from hyctas_mm.search.folder import CHOICES, read_object
from hyctas_mm.search.objectives import label_of

_PANEL = (4.6, 3.2)  # inches of a small figure
_MEANS = 50
"""Points of a line, each a mean over steps: what is drawn at each step varies much."""


def choice_svgs(result: SearchResult) -> list[Markup]:
    """Two figures, entropy and expected cost over the steps with a line for each budget, faint to strong; none where
    the search has no such history.

    Raises:
        SearchFileError: If a history cannot be used.
    """
    paths = sorted((result.path / CHOICES).glob('*.json'))
    searches = [read_object(path) for path in paths]
    for path, search in zip(paths, searches, strict=True):
        if not isinstance(search.get('steps'), dict) or {'entropy', 'expected'} - search['steps'].keys():
            raise SearchFileError(f'{path}: no "steps" with "entropy" and "expected"; run the search with --resume')
    searches.sort(key=lambda search: (str(search['track']), search['budget']))
    budgets = sorted({search['budget'] for search in searches})
    if not searches:
        return []
    figures = []
    for name, label in (
        ('entropy', 'entropy of the choices'),
        ('expected', f'expected {label_of(searches[0]["cost"])}'),
    ):
        figure, axes = new_axes(*_PANEL)
        for search in searches:
            rank = (budgets.index(search['budget']) + 1) / len(budgets)
            style: dict[str, Any] = dict(color=track_style(search['track']).color, alpha=0.25 + 0.75 * rank)
            steps, values = _means(search['steps'][name])
            axes.plot(steps, values, linewidth=1.6, **style)
            axes.annotate(f'{search["budget"]:g}', (steps[-1], values[-1]), (4, 0), textcoords='offset points',
                          va='center', fontsize=8, color=PAGE_INK)  # fmt: skip
            if name == 'expected':
                axes.axhline(search['budget'], linewidth=1, linestyle=(0, (4, 2)), **style)
        axes.set_xlabel('steps', labelpad=7)
        axes.set_ylabel(label, labelpad=9)
        axes.set_ylim(bottom=0, top=1.02 if name == 'entropy' else None)
        axes.set_xlim(left=0)
        figures.append(to_svg(figure, f'choices-{name}', f'{label} against steps'))
    return figures


def _means(values: Sequence[float]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Last steps and means of equal parts of the values."""
    parts = np.array_split(np.asarray(values, dtype=np.float64), min(_MEANS, len(values)))
    return np.cumsum([len(part) for part in parts]).astype(np.float64), np.array([part.mean() for part in parts])
