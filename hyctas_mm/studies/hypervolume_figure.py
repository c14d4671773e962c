"""Hypervolume over evaluations as a picture: a line for each method's mean, a band from its worst to its best run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

COLORS = ('#2f86d6', '#e07a2d', '#25a06f', '#8f6fd0', '#c94f7c', '#7a7a7a')


def draw_hypervolume(result: Mapping[str, Any], path: Path) -> None:
    """Writes a PNG.

    Args:
        result: By :func:`hyctas_mm.studies.hypervolume.summarise`.
        path: The file.
    """
    figure = Figure(figsize=(7.2, 4.2), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for index, (name, method) in enumerate(result['methods'].items()):
        color = COLORS[index % len(COLORS)]
        evaluations = np.arange(1, len(method['mean']) + 1)
        runs = len(method['curves'])
        axes.plot(evaluations, method['mean'], color=color, label=name if runs == 1 else f'{name}, mean of {runs}')
        if runs > 1:
            axes.fill_between(evaluations, method['low'], method['high'], color=color, alpha=0.15, linewidth=0)
    corners = ', '.join(
        f'{name} {worst:.4g} to {result["frame"]["ideal"][name]:.4g}'
        for name, worst in result['frame']['reference'].items()
    )
    axes.set_title(f'volume of {corners}; bands from worst to best run', fontsize=9)
    axes.set_xlabel('evaluated architectures')
    axes.set_ylabel('hypervolume')
    axes.set_xlim(left=0)
    axes.legend(loc='lower right', frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
