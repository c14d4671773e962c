"""A network as a small SVG, left to right (the paper's Figure 4), and as the numbers that the page's script sketches.

One lane per stride holds the maps of that stride; a cell stands in the lane of the map it *writes*, so a cell that goes
down is the first one of its branch in the lower lane. Shared cells are drawn once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from hyctas_mm.archs import STRIDES, Architecture, Layout, num_channels
from hyctas_mm.archs.layout import HEAD, STEM, STEM4, LaidCell
from hyctas_mm.archs.parts import FULL_WIDTH, STEM_STRIDE
from hyctas_mm.errors import BadValue
from hyctas_mm.report.ops import op_color, op_short, sort_ops
from hyctas_mm.report.render import fill

_BOX_W, _BOX_H, _GAP = 47, 36, 17
_STEP = _BOX_W + _GAP
_ROW = _BOX_H + 10
_LANE_PAD, _EMPTY_LANE = 9, 20
_STEM_X, _STEM_W, _STEM_STEP = 42, 30, 37
_CELLS_X = _STEM_X + 3 * _STEM_STEP + 11
_DETAIL_X = _STEM_X + 2 * _STEM_STEP + 5
_HEAD_W = 96
_MIN_WIDTH = 440
_LOW_STRIDES: dict[str, tuple[int, ...]] = {'none': (), 's4': (4,), 's4s8': (4, 8)}
_LOW_STEP = 15
_CHAR = 5.9  # average advance of the 11 px legend text; browsers' fonts differ, so spacing is generous
_GATE_NOTE = 'gate: a map added to another'
_LEGEND_NOTE = 'number: output channels; bar: width in twelfths'


def draw_arch(arch: Architecture, base_channels: int = 8, shrink_to: float | None = None) -> Markup:
    """Draws a network.

    Args:
        arch: The network.
        base_channels: The filter multiplier, for the channel numbers.
        shrink_to: Share of its width to which it shrinks on a narrow page; None: it does not.

    Returns:
        A standalone SVG with a transparent background that reads on light and dark pages, and can be put into one.

    Raises:
        ValueError: If ``base_channels`` is not positive.
    """
    if base_channels < 1:
        raise BadValue(f'base_channels={base_channels!r}; expected a positive whole number')
    plan = _Plan(arch, arch.layout(), base_channels)
    return fill(
        'arch.svg.j2',
        arch=arch,
        layout=plan.layout,
        plan=plan,
        legend_note=_LEGEND_NOTE,
        gate_note=_GATE_NOTE,
        full=FULL_WIDTH,
        widest=max(FULL_WIDTH, *(cell.width for cell in plan.layout.cells)),
        shrink_to=shrink_to,
    )


def draw_arch_file(arch: Architecture, path: str | Path, base_channels: int = 8) -> Path:
    """Writes :func:`draw_arch` to a file and returns its path."""
    path = Path(path)
    path.write_text(draw_arch(arch, base_channels) + '\n', encoding='utf-8')
    return path


def sketch_data(archs: Sequence[Architecture]) -> dict[str, Any]:
    """What the page's script needs to sketch networks: drawings of thousands would make the page too large to open.

    Returns:
        ``strides`` of the lanes; ``ops``: short name and colour of each op; ``archs``: by archid the rows of each lane,
        then five numbers for each cell: layer, below 0 for cells in the middle of the stem, row counted through all
        lanes, index of its op, width in twelfths, and index of the cell that feeds it, below 0 for the stem.
    """
    layouts = {arch.archid: arch.layout() for arch in archs}
    strides = max((layout.lanes for layout in layouts.values()), key=len, default=STRIDES)
    ops = sort_ops(cell.op for layout in layouts.values() for cell in layout.cells)
    index = {op: number for number, op in enumerate(ops)}
    return {
        'strides': strides,
        'ops': [[op_short(op), op_color(op)] for op in ops],
        'archs': {archid: _sketch(layout, strides, index) for archid, layout in layouts.items()},
    }


def _sketch(layout: Layout, strides: Sequence[int], op_index: dict[str, int]) -> list[int]:
    numbers = [layout.rows(stride) for stride in strides]
    above = dict(zip(strides, accumulate(numbers, initial=0), strict=False))
    for index, cell in enumerate(layout.cells):
        numbers += [cell.column, above[cell.lane] + cell.row, op_index[cell.op], cell.width, layout.feeds[index]]
    return numbers


class _Wire(NamedTuple):
    path: str
    arrow: bool = True
    kind: str = ''


@dataclass(frozen=True)
class _Plan:
    """Where everything stands in one drawing; what ``arch.svg.j2`` writes down."""

    arch: Architecture
    layout: Layout
    base_channels: int

    box_w, box_h, stem_w, head_w = _BOX_W, _BOX_H, _STEM_W, _HEAD_W

    @property
    def top(self) -> int:
        return 34 + _LOW_STEP * len(_LOW_STRIDES[self.arch.low_level])

    @cached_property
    def lanes(self) -> dict[int, tuple[int, int]]:
        """Upper edge and height of each lane."""
        lanes, y = {}, self.top + 14
        for stride in self.layout.lanes:
            # the stem stands on the first row of its lane even if no cell does
            rows = max(self.layout.rows(stride), 1 if stride == STEM_STRIDE else 0)
            lanes[stride] = y, 2 * _LANE_PAD + rows * _ROW - (_ROW - _BOX_H) if rows else _EMPTY_LANE
            y += lanes[stride][1] + 6
        return lanes

    @property
    def bottom(self) -> int:
        return sum(self.lanes[STRIDES[-1]])

    @property
    def head_x(self) -> int:
        return max(self.column_x(self.layout.columns) + 6, _MIN_WIDTH - _HEAD_W - 8)

    @property
    def head_top(self) -> int:
        """The head reaches up to the low-level maps that it reads."""
        return self.top - 8 - _LOW_STEP * len(self.low_level) if self.low_level else self.lanes[STEM_STRIDE][0]

    @property
    def width(self) -> int:
        return self.head_x + _HEAD_W + 8

    @property
    def stem_y(self) -> int:
        """Centre line of the stem: the first row of its lane."""
        return self.lanes[STEM_STRIDE][0] + _LANE_PAD + _BOX_H // 2

    @property
    def stem(self) -> list[tuple[int, int, int]]:
        """Stride, channels and left edge of each part: twice a map's channels at strides 2 and 4, as many at 8."""
        last = self.column_x(0) - _STEM_STEP - 11
        places = (_STEM_X, 2, 2), (_STEM_X + _STEM_STEP, 4, 2), (last, 8, 1)
        return [(s, factor * self.channels(s, self.arch.stem_width), x) for x, s, factor in places]

    @property
    def low_level(self) -> list[tuple[int, int, int, int]]:
        """Stride of each low-level map, where its wire to the head begins, and the wire's height."""
        strides, top = _LOW_STRIDES[self.arch.low_level], self.stem_y - _BOX_H // 2
        starts = {s: (x + _STEM_W // 2, top) for s, _, x in self.stem}
        if self.layout.columns_before:
            left, y = self.place(next(cell for cell in self.layout.cells if cell.column == -1))
            starts[4] = left + _BOX_W // 2, y - _BOX_H // 2
        heights = (self.top - 4 - _LOW_STEP * n for n in reversed(range(len(strides))))
        return [(s, *starts[s], y) for s, y in zip(strides, heights, strict=True)]

    def channels(self, stride: int, width: int) -> int:
        return num_channels(stride, width, self.base_channels)

    def column_x(self, column: int) -> int:
        before = self.layout.columns_before
        start = _DETAIL_X if column < 0 else _CELLS_X + 11 * (before > 0)
        return start + (column + before) * _STEP

    def place(self, cell: LaidCell) -> tuple[int, int]:
        """Left edge and centre line of a cell."""
        return self.column_x(cell.column), self.lanes[cell.lane][0] + _LANE_PAD + cell.row * _ROW + _BOX_H // 2

    def exit(self, end: int) -> tuple[int, int]:
        """Where the wires of a cell or of the stem begin."""
        if end in (STEM, STEM4):
            return self.stem[2 if end == STEM else 1][2] + _STEM_W, self.stem_y
        left, y = self.place(self.layout.cells[end])
        return left + _BOX_W, y

    def wires(self) -> Iterator[_Wire]:
        """Between the stem's parts, and one for each link."""
        for (_, _, left), (_, _, x) in pairwise(self.stem[: 2 if self.layout.columns_before else 3]):
            yield _Wire(f'M{left + _STEM_W} {self.stem_y}H{x}', arrow=False)
        for link in self.layout.links:
            x, y = self.exit(link.source)
            if link.target == STEM:
                left = self.stem[2][2]
                yield _Wire(f'M{x} {y}{_elbow(left - 8, y, (left, self.stem_y))}', kind=' go-down')
                continue
            if link.target == HEAD:
                yield _Wire(f'M{x} {y}H{self.head_x - 1}')
                continue
            cell = self.layout.cells[link.target]
            end = self.place(cell)
            if y == end[1]:
                yield _Wire(f'M{x} {y}H{end[0]}', arrow=False)
            else:
                bend = end[0] - 10 + 3 * (cell.branches[0] - 1)  # branches that turn in the same gap keep apart
                kind = '' if cell.lane == cell.lane_in else ' go-down'
                yield _Wire(f'M{x} {y}{_elbow(bend, y, end)}', kind=kind)

    def gates(self) -> Iterator[tuple[str, int, int, str]]:
        """Path of each gate between branches, the point where it joins the wire, and what it does."""
        for gate in self.layout.gates:
            (x, start), (_, end) = self.exit(gate.source), self.exit(gate.target)
            source, target = (self.layout.cells[end].lane for end in (gate.source, gate.target))
            turn = x + (4 if end > start else 8)  # ways down and up keep apart
            text = (
                f'after layer {self.layout.cells[gate.source].column}: the map at 1/{source} is added to that at '
                f'1/{target}'
            )
            yield f'M{x} {start}H{turn}V{end + (-3 if end > start else 3)}', turn, end, text

    @cached_property
    def legend(self) -> list[tuple[float, int, str]]:
        """Place and text of each entry: the ops, and the note."""
        entries, x, y = [], 8.0, self.bottom + 24
        gate_note = [_GATE_NOTE] if self.layout.gates else []
        for text in (*sort_ops(cell.op for cell in self.layout.cells), *gate_note, _LEGEND_NOTE):
            width = 17 + _CHAR * len(text) + 16
            if x > 8 and x + width > self.width:
                x, y = 8.0, y + 19
            entries.append((x, y, text))
            x += width
        return entries

    @property
    def height(self) -> int:
        return self.legend[-1][1] + 12


def _elbow(bend: int, y: int, end: tuple[int, int]) -> str:
    """From a point at height ``y`` along to ``bend``, vertically, and on to ``end``, with rounded corners."""
    r = 3 if end[1] > y else -3
    return f'H{bend - 3}q3 0 3 {r}V{end[1] - r}q0 {r} 3 {r}H{end[0] - 1}'
