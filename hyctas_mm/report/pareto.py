"""The front of a search as a figure: every candidate, light to dark as the search went on (the paper's Figure 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from markupsafe import Markup

from hyctas_mm.errors import BadValue
from hyctas_mm.report.result import SearchResult
from hyctas_mm.report.svg import PAGE_INK, Mark, new_axes, to_svg
from hyctas_mm.search.archive import Candidate
from hyctas_mm.search.objectives import Objective

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection

SHORT_ID = 6
_FAINTEST, _STRONGEST = 0.18, 0.85  # opacity of the first and the last generation
KEY_STRENGTHS = (_FAINTEST, 0.4, 0.62, _STRONGEST)
"""Opacities of the dots that say what faint and strong mean."""

_LABEL_OFFSET = (9, 8)  # of a chosen network's id from its ring, in points


class TrackStyle(NamedTuple):
    """Look of a track in all figures."""

    label: str
    color: str
    marker: str


def track_style(track: int | None) -> TrackStyle:
    """Colours of middle lightness, so that faint-to-strong reads on light and dark pages; markers do without colour."""
    if track is None:
        return TrackStyle('joint search', '#8f6fd0', 'D')
    color, marker = {1: ('#2f86d6', 'o'), 2: ('#e07a2d', 's')}.get(track, ('#25a06f', '^'))
    return TrackStyle(f'{track} branch' if track == 1 else f'{track} branches', color, marker)


def pareto_svg(result: SearchResult) -> Markup:
    """Every scored candidate, the fronts and the chosen networks.

    Colours go from faint to strong with the generations; solid lines are the fronts. Of more than two objectives the
    first two are drawn. Each point has its network's id, generation and track for the page's script.
    """
    x, y = result.axes
    figure, axes = new_axes(8.6, 5.0)
    marks = {}
    for track in result.tracks:
        members = [c for c in result.scored if c.track == track]
        if members:
            gid = f'points-{track}'
            marks[gid] = [_mark(c, result) for c in members]
            draw_points(axes, members, x, y, result, size=20).set_gid(gid)
    for track, ids in (result.fronts_by_track or {None: result.front}).items():
        _draw_front(axes, [result.by_id[i] for i in ids], track, result)
    label_axes(axes, x, y)
    axes.margins(0.12, 0.11)  # room for the labels of the outermost networks
    if not result.scored:
        axes.text(0.5, 0.5, 'no feasible candidate', transform=axes.transAxes, ha='center', color=PAGE_INK)
    figure.draw_without_rendering()  # fixes the axes' place, which the labels' places depend on
    _label_chosen(axes, result)
    return to_svg(figure, 'pareto', f'{y.label} against {x.label} of {len(result.scored)} candidates', marks)


def draw_points(
    axes: Axes, members: Sequence[Candidate], x: Objective, y: Objective, result: SearchResult, size: float
) -> PathCollection:
    """Candidates of one track, faint to strong with their generations."""
    from matplotlib.colors import to_rgba

    style = track_style(members[0].track)
    colors = [to_rgba(style.color, strength(c.generation, result)) for c in members]
    values = np.array([values_of(c, x, y) for c in members])
    return axes.scatter(values[:, 0], values[:, 1], s=size, marker=style.marker, c=colors, linewidths=0, clip_on=False)


def strength(generation: int, result: SearchResult) -> float:
    """Opacity of a generation."""
    return _FAINTEST + (_STRONGEST - _FAINTEST) * generation / (result.last_generation or 1)


def label_axes(axes: Axes, x: Objective, y: Objective) -> None:
    """Names, units and directions. They stand off the numbers, which are larger on narrow pages."""
    axes.set_xlabel(x.goal, labelpad=7)
    axes.set_ylabel(y.goal, labelpad=9)


def values_of(candidate: Candidate, x: Objective, y: Objective) -> tuple[float, float]:
    """Both values of a candidate that has them.

    Raises:
        ValueError: If it lacks one.
    """
    value_x, value_y = candidate.value(x.name), candidate.value(y.name)
    if value_x is None or value_y is None:
        raise BadValue(f'candidate {candidate.archid} has no {x.name} or {y.name}; draw SearchResult.scored only')
    return value_x, value_y


def _mark(candidate: Candidate, result: SearchResult) -> Mark:
    x, y = result.axes
    shown = {o.name: o for o in (y, x, *result.objectives, *result.costs)}
    values = [o.with_value(candidate.value(o.name)) for o in shown.values()]
    tip = f'{candidate.archid}: {", ".join(values)}, generation {candidate.generation}'
    return Mark(tip, {'id': candidate.archid, 'generation': str(candidate.generation)})


def _draw_front(axes: Axes, front: Sequence[Candidate], track: int | None, result: SearchResult) -> None:
    if not front:
        return
    style = track_style(track)
    values = np.array(sorted(values_of(c, *result.axes) for c in front))
    look: dict[str, Any] = dict(color=style.color, linewidth=1.8, marker=style.marker, markersize=5)
    axes.plot(*values.T, **look, gid=f'front-{track}')


def _label_chosen(axes: Axes, result: SearchResult) -> None:
    """Rings and short ids. Labels go to the side of the front where nothing can be, and make room for one another."""
    x, y = result.axes
    side = -1 if x.direction == 'min' else 1
    chosen = sorted((result.by_id[i] for i in result.chosen), key=lambda c: values_of(c, x, y))
    taken: list[tuple[float, float]] = []
    for index, candidate in enumerate(chosen):
        point = values_of(candidate, x, y)
        pixel_x, pixel_y = axes.transData.transform(point) * 72 / axes.figure.dpi
        dx, dy = side * _LABEL_OFFSET[0], _LABEL_OFFSET[1] * -y.sign
        while any(abs(pixel_x + dx - px) < 56 and abs(pixel_y + dy - py) < 15 for px, py in taken):
            dy += 4 if dy > 0 else -4
        taken.append((pixel_x + dx, pixel_y + dy))
        ring: dict[str, Any] = dict(marker='o', markersize=11, markerfacecolor='none', markeredgewidth=1.4)
        axes.plot(*point, **ring, markeredgecolor=PAGE_INK, gid=f'chosen-ring-{index}')
        line = {'arrowstyle': '-', 'color': PAGE_INK, 'alpha': 0.5, 'shrinkA': 0, 'shrinkB': 6}
        label = axes.annotate(
            candidate.archid[:SHORT_ID], point, (dx, dy), textcoords='offset points', annotation_clip=False,
            ha='right' if side < 0 else 'left', va='center', color=PAGE_INK, fontsize=8.5,
            arrowprops=line if abs(dy) > _LABEL_OFFSET[1] else None,
        )  # fmt: skip
        label.set_gid(f'chosen-label-{index}')
        if label.arrow_patch is not None:
            label.arrow_patch.set_gid(f'chosen-line-{index}')
