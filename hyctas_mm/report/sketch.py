"""Every network of the search in few numbers, from which the page's script sketches it under the pointer.

A drawing of each of thousands of networks would make the page too large to open. Where the cells stand is decided here, so that a sketch
looks like the drawing; the script only puts boxes there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hyctas_mm.archs import Architecture
from hyctas_mm.report.arch_layout import STRIDES, count_rows, place_runs
from hyctas_mm.report.ops_style import op_color, op_short, sort_ops


def sketch_data(archs: Sequence[Architecture]) -> dict[str, Any]:
    """What the script needs to sketch networks.

    Returns:
        ``ops``: short name and colour of each op; ``archs``: by archid the rows of each lane, followed by five numbers for each cell: layer,
        row counted through all lanes, index of its op, width in twelfths, and the index of the cell that feeds it (-1 for the stem).
    """
    ops = sort_ops(c.cell.op for arch in archs for c in arch.cells)
    index = {op: number for number, op in enumerate(ops)}
    return {
        'ops': [[op_short(op), op_color(op)] for op in ops],
        'archs': {arch.archid: _sketch(arch, index) for arch in archs},
    }


def _sketch(arch: Architecture, op_index: dict[str, int]) -> list[int]:
    runs = place_runs(arch)
    rows = count_rows(runs)
    above = {stride: sum(rows[s] for s in STRIDES if s < stride) for stride in STRIDES}
    at = {(branch, cell.layer): number for number, cell in enumerate(arch.cells) for branch in cell.branches}
    numbers = [rows[stride] for stride in STRIDES]
    for cell in arch.cells:
        lead = cell.branches[0]
        row = above[cell.stride_out] + runs[lead, cell.stride_out].row
        numbers += [cell.layer, row, op_index[cell.cell.op], cell.cell.width, at.get((lead, cell.layer - 1), -1)]
    return numbers
