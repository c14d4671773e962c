"""matplotlib figures as SVG that fits into a page: text stays text, its colour is the page's, ids do not clash."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree

from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAGE_INK = '#010203'
"""Draw with this colour what shall have the colour of the page's text, and so be readable on light and dark pages."""

_SVG, _XLINK = 'http://www.w3.org/2000/svg', 'http://www.w3.org/1999/xlink'
_NO_METADATA = {'Date': None, 'Creator': None, 'Format': None, 'Type': None}


class Mark(NamedTuple):
    """What belongs to one point of a scatter.

    Attributes:
        tip: The tooltip.
        data: ``data-`` attributes by their names without ``data-``.
    """

    tip: str
    data: Mapping[str, str]


def new_axes(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure (inches) with one plain set of axes: no frame, a faint grid."""
    from matplotlib.figure import Figure  # loaded when a figure is drawn only

    figure = Figure(figsize=(width, height), layout='constrained')
    axes = figure.add_subplot()
    axes.grid(color=PAGE_INK, alpha=0.1, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[['top', 'right']].set_visible(False)
    for side in ('left', 'bottom'):
        axes.spines[side].set_color(PAGE_INK)
        axes.spines[side].set_alpha(0.5)
    axes.tick_params(colors=PAGE_INK, labelsize=9)
    axes.xaxis.label.set_color(PAGE_INK)
    axes.yaxis.label.set_color(PAGE_INK)
    return figure, axes


def to_svg(figure: Figure, name: str, title: str, marks: Mapping[str, Sequence[Mark]] | None = None) -> Markup:
    """Renders a figure.

    Args:
        figure: Drawn with :data:`PAGE_INK` where the page's colour is wanted.
        name: Prefix of all ids, different for each figure of a page.
        title: What the figure shows, for screen readers.
        marks: For the gid of a scatter, one for each point.

    Returns:
        A standalone SVG with a transparent background, the same in every run.
    """
    from matplotlib import rc_context

    buffer = io.StringIO()
    with rc_context({'svg.fonttype': 'none', 'svg.hashsalt': name}):
        figure.savefig(buffer, format='svg', transparent=True, metadata=_NO_METADATA)
    ElementTree.register_namespace('', _SVG)
    ElementTree.register_namespace('xlink', _XLINK)
    root = ElementTree.fromstring(buffer.getvalue())
    for metadata in root.findall(f'{{{_SVG}}}metadata'):
        root.remove(metadata)
    for gid, members in (marks or {}).items():
        _mark_points(root, gid, members)
    _prefix_ids(root, name)
    root.attrib.update({'role': 'img', 'class': 'fig', 'color': '#7a828c'})
    root.insert(0, ElementTree.Element(f'{{{_SVG}}}title'))
    root[0].text = title
    text = ElementTree.tostring(root, encoding='unicode')
    return Markup(re.sub(r'>\s+<', '><', text.replace(PAGE_INK, 'currentColor')))


def _mark_points(root: ElementTree.Element, gid: str, marks: Sequence[Mark]) -> None:
    group = next(e for e in root.iter(f'{{{_SVG}}}g') if e.get('id') == gid)
    # matplotlib writes few simple markers in full and many as references to one
    points = list(group.iter(f'{{{_SVG}}}use')) or list(group.iter(f'{{{_SVG}}}path'))
    for point, mark in zip(points, marks, strict=True):
        point.attrib.update({f'data-{name}': value for name, value in mark.data.items()})
        ElementTree.SubElement(point, f'{{{_SVG}}}title').text = mark.tip


def _prefix_ids(root: ElementTree.Element, name: str) -> None:
    for element in root.iter():
        for key, value in element.attrib.items():
            if key == 'id':
                element.set(key, f'{name}-{value}')
            elif key == f'{{{_XLINK}}}href' and value.startswith('#'):
                element.set(key, f'#{name}-{value[1:]}')
            elif 'url(#' in value:
                element.set(key, value.replace('url(#', f'url(#{name}-'))
