"""The front of a search and its progress as figures (the paper's Figure 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.ticker import MaxNLocator

from hyctas_mm.report.result import SearchResult
from hyctas_mm.report.svg import PAGE_INK, new_axes, to_svg
from hyctas_mm.search.archive import Candidate
from hyctas_mm.search.front import hypervolume_curve
from hyctas_mm.search.objectives import Objective

SHORT_ID = 6
_FAINTEST = 0.14  # opacity of the first generation
_LABEL_OFFSET = (9, 8)  # of a chosen network's id from its ring, in points


class TrackStyle(NamedTuple):
    """Look of a track in all figures."""

    label: str
    color: str
    marker: str


def track_style(track: int | None) -> TrackStyle:
    """Colours of middle lightness, so that faint-to-strong reads on light and dark pages."""
    if track is None:
        return TrackStyle('joint search', '#8f6fd0', 'D')
    color, marker = {1: ('#2f86d6', 'o'), 2: ('#e07a2d', 's')}.get(track, ('#25a06f', '^'))
    return TrackStyle(f'{track} branch' if track == 1 else f'{track} branches', color, marker)


def pareto_svg(result: SearchResult) -> str:
    """Every scored candidate, the fronts and the chosen networks.

    Colours go from faint to strong with the generations; solid lines are the fronts. Of more than two objectives the first two are drawn.
    """
    x, y = result.axes
    figure, axes = new_axes(8.2, 4.9)
    tips = {}
    for track in result.tracks:
        members = [c for c in result.scored if c.track == track]
        if members:
            gid = f'points-{track}'
            tips[gid] = [_tip(c, x, y) for c in members]
            _draw_points(axes, members, track, result, gid)
    for track, ids in (result.fronts_by_track or {None: result.front}).items():
        _draw_front(axes, [result.by_id[i] for i in ids], track, result)
    axes.set_xlabel(_axis_label(x))
    axes.set_ylabel(_axis_label(y))
    axes.margins(0.11, 0.09)  # room for the labels of the outermost networks
    if not result.scored:
        axes.text(0.5, 0.5, 'no feasible candidate', transform=axes.transAxes, ha='center', color=PAGE_INK)
    figure.draw_without_rendering()  # fixes the axes' place, which the labels' places depend on
    _label_chosen(axes, result)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc='lower right', frameon=False, labelcolor=PAGE_INK, fontsize=9)
    return to_svg(figure, 'pareto', f'{y.label} against {x.label} of {len(result.scored)} candidates', tips)


def progress_svg(result: SearchResult) -> str:
    """Hypervolume of the first two objectives against the number of evaluations, a line per track.

    The reference point holds the worst values that were seen; 1 is a network with the best of both values seen.
    """
    x, y = result.axes
    figure, axes = new_axes(8.2, 3.3)
    points = np.array([_minimised(c, x, y) for c in result.scored]).reshape(-1, 2)
    if len(points):
        worst, best = points.max(axis=0), points.min(axis=0)
        area = float(np.prod(worst - best)) or 1.0  # all equal in one objective: every volume is 0
        for track in result.tracks:
            own = points[[c.track == track for c in result.scored]]
            if len(own):
                style = track_style(track)
                curve = hypervolume_curve(own, worst.tolist()) / area
                axes.step(np.arange(1, len(own) + 1), curve, where='post', color=style.color, linewidth=1.8, label=style.label)
        axes.legend(loc='lower right', frameon=False, labelcolor=PAGE_INK, fontsize=9)
    axes.set_xlabel('scored networks')
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel('hypervolume')
    axes.set_ylim(0, 1.02)
    axes.set_xlim(left=0)
    return to_svg(figure, 'progress', 'Hypervolume against the number of scored candidates')


def _axis_label(objective: Objective) -> str:
    return f'{objective.label}, {"higher" if objective.direction == "max" else "lower"} is better'


def _values(candidate: Candidate, x: Objective, y: Objective) -> tuple[float, float]:
    value_x, value_y = candidate.value(x.name), candidate.value(y.name)
    if value_x is None or value_y is None:
        raise ValueError(f'candidate {candidate.archid} has no value for {x.name} or {y.name}; draw those of SearchResult.scored only')
    return value_x, value_y


def _minimised(candidate: Candidate, x: Objective, y: Objective) -> tuple[float, float]:
    value_x, value_y = _values(candidate, x, y)
    return x.sign * value_x, y.sign * value_y


def _tip(candidate: Candidate, x: Objective, y: Objective) -> str:
    values = ', '.join(o.with_value(candidate.value(o.name)) for o in (y, x))
    return f'{candidate.archid}: {values}, generation {candidate.generation}'


def _draw_points(axes: Axes, members: Sequence[Candidate], track: int | None, result: SearchResult, gid: str) -> None:
    style = track_style(track)
    last = max(c.generation for c in result.candidates) or 1
    colors = [to_rgba(style.color, _FAINTEST + (0.8 - _FAINTEST) * c.generation / last) for c in members]
    values = np.array([_values(c, *result.axes) for c in members])
    axes.scatter(values[:, 0], values[:, 1], s=20, marker=style.marker, c=colors, linewidths=0, gid=gid, clip_on=False)


def _draw_front(axes: Axes, front: Sequence[Candidate], track: int | None, result: SearchResult) -> None:
    if not front:
        return
    style = track_style(track)
    label = style.label if track is not None or len(result.tracks) == 1 else 'front over all tracks'
    values = np.array(sorted(_values(c, *result.axes) for c in front))
    axes.plot(values[:, 0], values[:, 1], color=style.color, linewidth=1.8, marker=style.marker, markersize=5, label=label)


def _label_chosen(axes: Axes, result: SearchResult) -> None:
    """Rings and short ids. Labels go to the side of the front where nothing can be, and make room for one another."""
    x, y = result.axes
    side = -1 if x.direction == 'min' else 1
    chosen = sorted((result.by_id[i] for i in result.chosen), key=lambda c: _values(c, x, y))
    taken: list[tuple[float, float]] = []
    for candidate in chosen:
        point = _values(candidate, x, y)
        pixel_x, pixel_y = axes.transData.transform(point) * 72 / axes.figure.dpi
        dx, dy = side * _LABEL_OFFSET[0], _LABEL_OFFSET[1] * -y.sign
        while any(abs(pixel_x + dx - px) < 44 and abs(pixel_y + dy - py) < 13 for px, py in taken):
            dy += 4 if dy > 0 else -4
        taken.append((pixel_x + dx, pixel_y + dy))
        axes.plot(*point, marker='o', markersize=11, markerfacecolor='none', markeredgecolor=PAGE_INK, markeredgewidth=1.4)
        pushed = abs(dy) > _LABEL_OFFSET[1]
        axes.annotate(
            candidate.archid[:SHORT_ID],
            point,
            (dx, dy),
            textcoords='offset points',
            ha='right' if side < 0 else 'left',
            va='center',
            color=PAGE_INK,
            fontsize=8.5,
            annotation_clip=False,
            arrowprops={'arrowstyle': '-', 'color': PAGE_INK, 'alpha': 0.5, 'shrinkA': 0, 'shrinkB': 6} if pushed else None,
        )
