"""Every network of the search in few numbers, from which the page's script sketches it under the pointer.

A drawing of each of thousands of networks would make the page too large to open. Where the cells stand is decided here, so that a sketch
looks like the drawing; the script only puts boxes there.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from hyctas_mm.archs import STRIDES, Architecture, Layout
from hyctas_mm.report.ops_style import op_color, op_short, sort_ops


def sketch_data(archs: Sequence[Architecture]) -> dict[str, Any]:
    """What the script needs to sketch networks.

    Returns:
        ``ops``: short name and colour of each op; ``archs``: by archid the rows of each lane, followed by five numbers for each cell: layer,
        row counted through all lanes, index of its op, width in twelfths, and the index of the cell that feeds it (-1 for the stem).
    """
    layouts = {arch.archid: arch.layout() for arch in archs}
    ops = sort_ops(cell.op for layout in layouts.values() for cell in layout.cells)
    index = {op: number for number, op in enumerate(ops)}
    return {
        'ops': [[op_short(op), op_color(op)] for op in ops],
        'archs': {archid: _sketch(layout, index) for archid, layout in layouts.items()},
    }


def _sketch(layout: Layout, op_index: dict[str, int]) -> list[int]:
    numbers = [layout.rows(stride) for stride in STRIDES]
    above = dict(zip(STRIDES, accumulate(numbers, initial=0), strict=False))
    for index, cell in enumerate(layout.cells):
        row = above[cell.lane] + cell.row
        numbers += [cell.column, row, op_index[cell.op], cell.width, layout.feeds[index]]
    return numbers
