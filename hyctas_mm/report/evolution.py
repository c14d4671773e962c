"""How the search got there: fronts after some generations, other costs (the paper's Figure 3), and hypervolume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from hyctas_mm.report.pareto import draw_points, label_axes, strength, track_style, values_of
from hyctas_mm.report.result import SearchResult
from hyctas_mm.report.svg import PAGE_INK, new_axes, to_svg
from hyctas_mm.search.archive import Candidate
from hyctas_mm.search.front import front_indices
from hyctas_mm.search.hypervolume import Frame
from hyctas_mm.search.objectives import Objective

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STEPS = 5
_PANEL = (3.7, 3.0)  # inches of a small figure


def steps_of(result: SearchResult) -> list[int]:
    """Generations after which the fronts are drawn: the first, the last, and some between."""
    return sorted({round(step) for step in np.linspace(0, result.last_generation, _STEPS)})


def front_svgs(result: SearchResult) -> list[Markup]:
    """A figure for each track, each with a scale of its own: its front after some generations, faint to strong."""
    from matplotlib.ticker import MaxNLocator

    x, y = result.axes
    steps = steps_of(result)
    figures = []
    for track in result.tracks:
        own = [c for c in result.scored if c.track == track]
        style = track_style(track)
        figure, axes = new_axes(*_PANEL)
        for step in steps:
            opacity, marker = min(1.0, strength(step, result) + 0.15), style.marker if step == steps[-1] else ''
            _draw_front(axes, [c for c in own if c.generation <= step], x, y, style.color, opacity, marker)
        label_axes(axes, x, y)
        axes.set_title(style.label, fontsize=9.5, color=PAGE_INK)
        axes.xaxis.set_major_locator(MaxNLocator(6))
        figures.append(to_svg(figure, f'fronts-{track}', f'Fronts of {style.label} after some generations'))
    return figures


def other_costs(result: SearchResult) -> list[Objective]:
    """Costs that were recorded for every scored candidate but are not the front's x axis."""
    drawn = {o.name for o in result.axes}
    return [o for o in result.costs if o.name not in drawn and all(c.value(o.name) is not None for c in result.scored)]


def cost_svgs(result: SearchResult) -> list[Markup]:
    """Scores against each other cost: points faint to strong with the generations, lines what is best by that cost."""
    y = result.axes[1]
    figures = []
    for x in other_costs(result):
        figure, axes = new_axes(_PANEL[0] * 1.4, _PANEL[1] * 1.2)
        for track in result.tracks:
            own = [c for c in result.scored if c.track == track]
            if own:
                style = track_style(track)
                draw_points(axes, own, x, y, result, size=11)
                _draw_front(axes, own, x, y, style.color, 1.0, style.marker)
        label_axes(axes, x, y)
        figures.append(to_svg(figure, f'cost-{x.name}', f'{y.label} against {x.label}'))
    return figures


def hypervolume_svg(result: SearchResult) -> Markup:
    """Hypervolume of all objectives against the number of scored candidates: of each track and of the whole search.

    The box reaches from the best to the worst value seen in each objective; 1 is a network with the best of all.
    """
    from matplotlib.ticker import MaxNLocator

    figure, axes = new_axes(8.6, 3.3)
    members = [c for c in result.scored if all(c.value(o.name) is not None for o in result.objectives)]
    if members:
        points = np.array([[o.sign * (c.value(o.name) or 0.0) for o in result.objectives] for c in members])
        frame = Frame.around(points)
        tracks = [t for t in result.tracks if any(c.track == t for c in members)]
        for track in tracks:
            own = np.flatnonzero([c.track == track for c in members])
            axes.step(own + 1, frame.volumes(points[own]), where='post', color=track_style(track).color, linewidth=1.8)
        if len(tracks) > 1:
            dashed: dict[str, Any] = dict(color=PAGE_INK, linewidth=1.2, linestyle=(0, (4, 2)))
            axes.step(np.arange(1, len(members) + 1), frame.volumes(points), where='post', **dashed)
    axes.set_xlabel('scored networks', labelpad=7)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel('hypervolume', labelpad=9)
    axes.set_ylim(0, 1.02)
    axes.set_xlim(left=0)
    return to_svg(figure, 'hypervolume', 'Hypervolume against the number of scored candidates')


def _draw_front(
    axes: Axes, members: Sequence[Candidate], x: Objective, y: Objective, color: str, opacity: float, marker: str
) -> None:
    if members:
        values = np.array([values_of(c, x, y) for c in members])
        front = values[front_indices(values * (x.sign, y.sign))]
        front = front[np.lexsort((front[:, 1], front[:, 0]))]
        axes.plot(front[:, 0], front[:, 1], color=color, alpha=opacity, linewidth=1.6, marker=marker, markersize=3.5)
