"""Where cells stand, and what feeds what."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hyctas_mm.archs import STRIDES, Architecture, Cell, SearchSpace, load_arch
from hyctas_mm.archs.layout import HEAD, STEM, LaidCell, Link


def test_by_hand() -> None:
    # the branches fork behind a cell that they share; the second goes down there
    shared = Cell('conv', 6)
    arch = Architecture(((shared, Cell('attention', 12)), (shared, Cell('conv', 4, True), Cell('conv', 12))))
    layout = arch.layout()
    assert layout.cells == (
        LaidCell(0, 8, 'conv', 6, lane_in=8, width_in=12, branches=(0, 1)),
        LaidCell(1, 8, 'attention', 12, lane_in=8, width_in=6, branches=(0,)),
        LaidCell(1, 16, 'conv', 4, lane_in=8, width_in=6, branches=(1,)),
        LaidCell(2, 16, 'conv', 12, lane_in=16, width_in=4, branches=(1,)),
    )
    assert layout.links == (Link(STEM, 0), Link(0, 1), Link(0, 2), Link(2, 3), Link(1, HEAD), Link(3, HEAD))
    assert (layout.outputs, layout.columns, layout.forks) == ((8, 16), 3, [0])
    assert [layout.rows(stride) for stride in STRIDES] == [1, 1, 0]


def test_branches_that_part_at_the_stem() -> None:
    arch = Architecture(((Cell('conv', 12),), (Cell('conv', 12, True), Cell('conv', 12))))
    assert arch.layout().forks == [STEM]


@given(seed=st.integers(0, 2**32 - 1), layers=st.integers(4, 20))
def test_any_network_lays_itself_out(seed: int, layers: int) -> None:
    check(SearchSpace(layers=layers).sample(np.random.default_rng(seed)))


def test_published() -> None:
    check(load_arch('hyctas-l'))


def check(arch: Architecture) -> None:
    layout = arch.layout()
    cells, feeds = layout.cells, layout.feeds
    assert len(cells) == len(arch.cells) == len({(c.column, c.lane, c.row) for c in cells}), 'two cells at one place'
    assert all(set(range(layout.rows(s))) == {c.row for c in cells if c.lane == s} for s in STRIDES), 'an empty row'
    for index, cell in enumerate(cells):
        source = None if feeds[index] == STEM else cells[feeds[index]]
        assert (source.column + 1 if source else 0) == cell.column
        assert cell.lane_in == (source.lane if source else STRIDES[0])
        assert source is None or set(cell.branches) <= set(source.branches)
    # following the links back from the head gives each branch, last cell first
    ends = [link.source for link in layout.links if link.target == HEAD]
    assert len(ends) == len(layout.outputs)
    for index, branch in enumerate(arch.branches):
        end, ops = ends[index], []
        while end != STEM:
            ops.append(cells[end].op)
            end = feeds[end]
        assert ops[::-1] == [cell.op for cell in branch]
