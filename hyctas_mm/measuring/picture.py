"""Latency of networks by target, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def draw_latency(rows: Sequence[Mapping[str, Any]], told: str, path: Path) -> None:
    """Draws bars, the networks from the fastest to the slowest by the first target.

    Args:
        rows: Each with ``network``, ``target`` and ``latency_ms``.
        told: The conditions in a line.
        path: Image file to write, by its suffix.
    """
    targets = list(dict.fromkeys(row['target'] for row in rows))
    names = list(dict.fromkeys(row['network'] for row in sorted(rows, key=lambda r: targets.index(r['target']))))
    found = {(row['network'], row['target']): row['latency_ms'] for row in rows}
    names.sort(key=lambda name: found.get((name, targets[0]), 0.0), reverse=True)  # the first bar is the lowest
    height = 0.8 / len(targets)
    figure = Figure(figsize=(9, 1.2 + 0.28 * len(names) * len(targets)), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for number, target in enumerate(targets):
        there = [(place, found[name, target]) for place, name in enumerate(names) if (name, target) in found]
        places = [place + 0.4 - (number + 0.5) * height for place, _ in there]
        bars = axes.barh(places, [ms for _, ms in there], height, label=target)
        axes.bar_label(bars, fmt='%.1f', padding=2, fontsize=8)
    axes.set(xlabel='ms', title=told)
    axes.title.set_fontsize(8)
    axes.set_yticks(range(len(names)), [_short(name) for name in names])
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _short(name: str) -> str:
    """A config by its file's name, or its folder's: those of subnets are all called ``config.py``."""
    path = Path(name)
    return name if path.suffix != '.py' else path.parent.name if path.stem == 'config' else path.stem
