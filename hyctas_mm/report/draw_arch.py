"""A network as a small SVG, left to right (the paper's Figure 4).

One lane per stride holds the maps of that stride; a cell stands in the lane of the map it *writes*, so a cell that goes down is the
first one of its branch in the lower lane. Shared cells are drawn once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

from hyctas_mm.archs import Architecture, PlacedCell, num_channels
from hyctas_mm.archs.architecture import FULL_WIDTH, STEM_STRIDE
from hyctas_mm.errors import BadValue
from hyctas_mm.report.arch_layout import STRIDES, Run, count_rows, place_runs
from hyctas_mm.report.ops_style import INK, op_color, op_short, sort_ops

_BOX_W, _BOX_H, _GAP = 47, 36, 17
_STEP = _BOX_W + _GAP
_ROW = _BOX_H + 10
_LANE_PAD, _EMPTY_LANE = 9, 20
_STEM_X, _STEM_W, _STEM_STEP = 42, 30, 37
_CELLS_X = _STEM_X + 3 * _STEM_STEP + 11
_HEAD_W = 96
_MIN_WIDTH = 440
_LOW_STRIDES: dict[str, tuple[int, ...]] = {'none': (), 's4': (4,), 's4s8': (4, 8)}
_LOW_STEP = 15
_CHAR = 5.9  # average advance of the 11 px legend text; browsers' fonts differ, so spacing is generous

_STYLE = (
    """
.ha text{font:11px system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;fill:#656d76}
.ha .in{fill:%(ink)s;text-anchor:middle;font-size:10.5px}.ha .strong{font-weight:600}.ha .small{font-size:9px;text-anchor:middle}
.ha .lane{fill:#808a96;fill-opacity:.1}.ha .wire{fill:none;stroke:#828b96;stroke-width:1.4}.ha .go-down{stroke-width:2}
.ha .low{stroke-dasharray:5 3}.ha .fork,.ha .tip{fill:#828b96}.ha .block{fill:#cdd3da}.ha .track{fill:#000;fill-opacity:.13}
.ha .bar{fill:#000;fill-opacity:.55}
@media(prefers-color-scheme:dark){.ha text{fill:#9aa4af}.ha .in{fill:%(ink)s}}
""".strip().replace('\n', '')
    % {'ink': INK}
)


def draw_arch(arch: Architecture, base_channels: int = 8) -> str:
    """Draws a network.

    Args:
        arch: The network.
        base_channels: The filter multiplier, for the channel numbers.

    Returns:
        A standalone SVG with a transparent background that reads on light and dark pages. It can be put into an HTML page as it is.

    Raises:
        ValueError: If ``base_channels`` is not positive.
    """
    if base_channels < 1:
        raise BadValue(f'base_channels={base_channels!r}; expected a positive whole number')
    plan = _make_plan(arch)
    body = [
        *_draw_header(arch, plan, base_channels),
        *_draw_lanes(plan),
        *_draw_wires(arch, plan),
        *_draw_stem(arch, plan, base_channels),
        *(line for cell in arch.cells for line in _draw_cell(cell, plan, base_channels)),
        *_draw_head(arch, plan, base_channels),
    ]
    legend, height = _draw_legend(arch, plan)
    width = plan.width
    title = f'{arch.archid}: {len(arch.cells)} cells, {len(arch.branches)} branch(es) to stride {_join_strides(arch)}'
    return '\n'.join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="ha" role="img" width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
            f'<title>{escape(title)}</title><style>{_STYLE}</style>',
            f'<defs><marker id="tip-{arch.archid}" viewBox="0 0 6 6" refX="5.5" refY="3" markerWidth="6" markerHeight="6" '
            'markerUnits="userSpaceOnUse" orient="auto"><path class="tip" d="M0 0L6 3L0 6z"/></marker></defs>',
            *body,
            *legend,
            '</svg>',
        ]
    )


def draw_arch_file(arch: Architecture, path: str | Path, base_channels: int = 8) -> Path:
    """Writes :func:`draw_arch` to a file and returns its path."""
    path = Path(path)
    path.write_text(draw_arch(arch, base_channels) + '\n', encoding='utf-8')
    return path


# Where things stand -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Plan:
    """Coordinates of one drawing."""

    runs: dict[tuple[int, int], Run]  # by (lead, stride)
    lane_y: dict[int, int]
    lane_h: dict[int, int]
    layers: int
    top: int
    archid: str

    @property
    def bottom(self) -> int:
        return self.lane_y[STRIDES[-1]] + self.lane_h[STRIDES[-1]]

    @property
    def head_x(self) -> int:
        return max(_CELLS_X + self.layers * _STEP + 6, _MIN_WIDTH - _HEAD_W - 8)

    @property
    def width(self) -> int:
        return self.head_x + _HEAD_W + 8

    @property
    def stem_y(self) -> int:
        """Centre line of the stem: the first row of the stride-8 lane."""
        return self.lane_y[STEM_STRIDE] + _LANE_PAD + _BOX_H // 2

    def place(self, cell: PlacedCell) -> tuple[int, int]:
        """Left edge and centre line of a cell."""
        row = self.runs[cell.branches[0], cell.stride_out].row
        return _CELLS_X + cell.layer * _STEP, self.lane_y[cell.stride_out] + _LANE_PAD + row * _ROW + _BOX_H // 2


def _make_plan(arch: Architecture) -> _Plan:
    runs = place_runs(arch)
    num_rows = count_rows(runs)
    top = 34 + _LOW_STEP * len(_LOW_STRIDES[arch.low_level])
    lane_y, lane_h, y = {}, {}, top + 14
    for stride in STRIDES:
        # the stem stands on the first row of the stride-8 lane even if no cell does
        rows = max(num_rows[stride], 1 if stride == STEM_STRIDE else 0)
        lane_y[stride], lane_h[stride] = y, 2 * _LANE_PAD + rows * _ROW - (_ROW - _BOX_H) if rows else _EMPTY_LANE
        y += lane_h[stride] + 6
    return _Plan(runs, lane_y, lane_h, max(map(len, arch.branches)), top, arch.archid)


# Parts of the drawing ---------------------------------------------------------------------------------------------------------


def _join_strides(arch: Architecture) -> str:
    return ' + '.join(map(str, arch.output_strides))


def _plural(count: int, one: str, many: str) -> str:
    return f'{count} {one if count == 1 else many}'


def _draw_header(arch: Architecture, plan: _Plan, base_channels: int) -> Iterator[str]:
    facts = [
        f'{_plural(len(arch.branches), "branch", "branches")} to stride {_join_strides(arch)}',
        _plural(len(arch.cells), 'cell', 'cells'),
        f'base {base_channels} channels',
    ]
    yield f'<text x="8" y="16"><tspan class="strong name">{escape(arch.archid)}  </tspan>{escape(" · ".join(facts))}</text>'
    for layer in range(plan.layers):
        yield f'<text class="small" x="{_CELLS_X + layer * _STEP + _BOX_W / 2:g}" y="{plan.top + 8}">{layer}</text>'
    yield f'<text style="font-size:9px" x="8" y="{plan.top + 8}">layer</text>'


def _draw_lanes(plan: _Plan) -> Iterator[str]:
    for stride in STRIDES:
        y, height = plan.lane_y[stride], plan.lane_h[stride]
        yield f'<rect class="lane" x="4" y="{y}" width="{plan.head_x - 16}" height="{height}" rx="6"/>'
        yield f'<text class="strong" x="11" y="{y + height / 2 + 4:g}">1/{stride}</text>'


def _draw_stem(arch: Architecture, plan: _Plan, base_channels: int) -> Iterator[str]:
    # widths of the published stem: twice a map's channels at strides 2 and 4, as many at stride 8
    for index, (stride, factor) in enumerate(((2, 2), (4, 2), (8, 1))):
        channels = factor * num_channels(stride, arch.stem_width, base_channels)
        x, y = _STEM_X + index * _STEM_STEP, plan.stem_y
        middle = x + _STEM_W / 2
        yield f'<g><title>stem to stride {stride}: {channels} channels, width {arch.stem_width}/{FULL_WIDTH}</title>'
        yield f'<rect class="block" x="{x}" y="{y - _BOX_H // 2}" width="{_STEM_W}" height="{_BOX_H}" rx="5"/>'
        yield f'<text class="in" x="{middle:g}" y="{y - 4}">1/{stride}</text><text class="in" x="{middle:g}" y="{y + 9}">{channels}</text></g>'


def _draw_cell(cell: PlacedCell, plan: _Plan, base_channels: int) -> Iterator[str]:
    left, y = plan.place(cell)
    top, op, width = y - _BOX_H // 2, cell.cell.op, cell.cell.width
    channels = num_channels(cell.stride_out, width, base_channels)
    channels_in = num_channels(cell.stride_in, cell.width_in, base_channels)
    way = f'1/{cell.stride_in} to 1/{cell.stride_out}' if cell.cell.down else f'at 1/{cell.stride_out}'
    shared = f', shared by {len(cell.branches)} branches' if len(cell.branches) > 1 else ''
    tip = f'layer {cell.layer}: {op} {way}, {channels_in} to {channels} channels, width {width}/{FULL_WIDTH}{shared}'
    middle = left + _BOX_W / 2
    track = _BOX_W - 10
    yield f'<g><title>{escape(tip)}</title>'
    yield f'<rect class="cell" x="{left}" y="{top}" width="{_BOX_W}" height="{_BOX_H}" rx="6" fill="{op_color(op)}"/>'
    yield f'<text class="in" x="{middle:g}" y="{top + 13}">{escape(op_short(op))}</text>'
    yield f'<text class="in strong" x="{middle:g}" y="{top + 25}">{channels}</text>'
    yield f'<rect class="track" x="{left + 5}" y="{top + 29}" width="{track}" height="3.5" rx="1.5"/>'
    yield f'<rect class="bar" x="{left + 5}" y="{top + 29}" width="{track * width / FULL_WIDTH:.4g}" height="3.5" rx="1.5"/></g>'


def _draw_wires(arch: Architecture, plan: _Plan) -> Iterator[str]:
    arrow = f' marker-end="url(#tip-{plan.archid})"'
    for index in (1, 2):
        x = _STEM_X + index * _STEM_STEP
        yield f'<path class="wire" d="M{x - _STEM_STEP + _STEM_W} {plan.stem_y}H{x}"/>'
    at = {(branch, cell.layer): cell for cell in arch.cells for branch in cell.branches}
    stem_end = (_STEM_X + 2 * _STEM_STEP + _STEM_W, plan.stem_y)
    for cell in arch.cells:
        lead = cell.branches[0]
        start = stem_end
        if cell.layer:
            left, y = plan.place(at[lead, cell.layer - 1])
            start = left + _BOX_W, y
        end = plan.place(cell)
        if start[1] == end[1]:
            yield f'<path class="wire" d="M{start[0]} {start[1]}H{end[0]}"/>'
        else:
            bend = end[0] - 10 + 3 * (lead - 1)  # branches that turn in the same gap keep apart
            kind = ' go-down' if cell.cell.down else ''
            yield f'<path class="wire{kind}" d="M{start[0]} {start[1]}{_elbow(bend, start[1], end)}"{arrow}/>'
        if cell.layer == len(arch.branches[lead]) - 1:
            yield f'<path class="wire" d="M{end[0] + _BOX_W} {end[1]}H{plan.head_x - 1}"{arrow}/>'
    yield from _draw_forks(arch, plan, at, stem_end)
    yield from _draw_low_level(arch, plan, arrow)


def _elbow(bend: int, y: int, end: tuple[int, int]) -> str:
    """From a point at height ``y`` along to ``bend``, vertically, and on to ``end``, with rounded corners."""
    r = 3 if end[1] > y else -3
    return f'H{bend - 3}q3 0 3 {r}V{end[1] - r}q0 {r} 3 {r}H{end[0] - 1}'


def _draw_forks(arch: Architecture, plan: _Plan, at: dict[tuple[int, int], PlacedCell], stem_end: tuple[int, int]) -> Iterator[str]:
    """A dot where branches part: behind the stem or behind a shared cell."""
    ends = [stem_end] if len({at[b, 0].branches for b in range(len(arch.branches))}) > 1 else []
    for cell in arch.cells:
        if len({at[b, cell.layer + 1].branches for b in cell.branches if (b, cell.layer + 1) in at}) > 1:
            left, y = plan.place(cell)
            ends.append((left + _BOX_W, y))
    for x, y in ends:
        yield f'<circle class="fork" cx="{x + 2}" cy="{y}" r="3"/>'


def _draw_low_level(arch: Architecture, plan: _Plan, arrow: str) -> Iterator[str]:
    strides = _LOW_STRIDES[arch.low_level]
    for index, stride in enumerate(strides):
        x = _STEM_X + (1 if stride == 4 else 2) * _STEM_STEP + _STEM_W // 2
        y = plan.top - 4 - _LOW_STEP * (len(strides) - 1 - index)
        yield f'<path class="wire low" d="M{x} {plan.stem_y - _BOX_H // 2}V{y + 4}q0 -4 4 -4H{plan.head_x - 1}"{arrow}/>'
        yield f'<text x="{x + 12}" y="{y - 3}" style="font-size:9px">stride {stride} to the head</text>'


def _draw_head(arch: Architecture, plan: _Plan, base_channels: int) -> Iterator[str]:
    num_low = len(_LOW_STRIDES[arch.low_level])
    top = plan.top - 8 - _LOW_STEP * num_low if num_low else plan.lane_y[STEM_STRIDE]
    middle = plan.head_x + _HEAD_W / 2
    lines = [
        f'{num_channels(STEM_STRIDE, arch.head_width, base_channels)} channels',
        f'width {arch.head_width}/{FULL_WIDTH}',
        'attention' if arch.head_attention else 'no attention',
        f'low level: {arch.low_level}',
    ]
    tip = 'aggregation and head: each branch is brought to stride 8 with its finer maps, then the branches are fused'
    yield f'<g><title>{tip}</title>'
    yield f'<rect class="block" x="{plan.head_x}" y="{top}" width="{_HEAD_W}" height="{plan.bottom - top}" rx="8"/>'
    y = (top + plan.bottom) / 2 - 26
    yield f'<text class="in strong" style="font-size:12px" x="{middle:g}" y="{y:g}">head</text>'
    for index, line in enumerate(lines):
        yield f'<text class="in" x="{middle:g}" y="{y + 16 + 14 * index:g}">{line}</text>'
    yield '</g>'


def _draw_legend(arch: Architecture, plan: _Plan) -> tuple[list[str], int]:
    """The legend's lines and the height of the whole drawing."""
    x, y, lines = 8.0, plan.bottom + 24, []
    items = [(f'fill="{op_color(op)}"', op) for op in sort_ops(c.cell.op for c in arch.cells)]
    items.append(('class="bar-key"', 'number: output channels; bar: width in twelfths'))
    for key, text in items:
        width = 17 + _CHAR * len(text) + 16
        if x > 8 and x + width > plan.width:
            x, y = 8.0, y + 19
        if key.startswith('fill'):
            lines.append(f'<rect class="key" x="{x:g}" y="{y - 10}" width="12" height="12" rx="3" {key}/>')
        else:
            lines.append(f'<path class="wire" style="stroke-width:3.5" d="M{x:g} {y - 4}h12"/>')
        lines.append(f'<text class="legend" x="{x + 17:g}" y="{y}">{escape(text)}</text>')
        x += width
    return lines, y + 12
