"""Where the cells of a network stand in a picture, and what feeds what: all that the report knows of an architecture.

Knows boxes and links only, so networks of another kind are drawn too once they lay themselves out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from hyctas_mm.archs.parts import DETAIL_STRIDE, STRIDES

STEM, HEAD, STEM4 = -1, -2, -3
"""Ends of a link that are no cell: the stem's last part, the head, and the stem's part at stride 4."""


@dataclass(frozen=True, slots=True)
class LaidCell:
    """A cell at its place: a column for each layer, a lane for each stride, rows within a lane.

    Attributes:
        column: Layer, from 0; below 0 for cells in the middle of the stem.
        lane: Stride of the map that the cell writes.
        op: Name of the op.
        width: Output width in twelfths.
        lane_in: Stride of the map that it reads; a finer one than ``lane`` where it goes down.
        width_in: Width of that map in twelfths.
        branches: Indices of the branches that share the cell, ascending.
        row: Row in its lane, from 0; given by :func:`arrange`.
    """

    column: int
    lane: int
    op: str
    width: int
    lane_in: int
    width_in: int
    branches: tuple[int, ...]
    row: int = 0


@dataclass(frozen=True, slots=True)
class Link:
    """The way of a map from a cell (its index) or :data:`STEM` to a cell or :data:`HEAD`."""

    source: int
    target: int


@dataclass(frozen=True)
class Layout:
    """A network as boxes and links.

    Attributes:
        cells: Every distinct cell in an order of evaluation; one that branches share is there once.
        links: In any order, except that of the links to a cell the first is that of its own branch.
        outputs: Stride at which each branch ends, ascending.
        gates: From the cell whose map is added to the cell to whose map it is added; both stand in one column.
    """

    cells: tuple[LaidCell, ...]
    links: tuple[Link, ...]
    outputs: tuple[int, ...]
    gates: tuple[Link, ...] = ()

    @cached_property
    def columns(self) -> int:
        """Number of layers of the longest branch."""
        return 1 + max(cell.column for cell in self.cells)

    @cached_property
    def lanes(self) -> tuple[int, ...]:
        """Strides of the lanes, from fine to coarse: that of cells in the middle of the stem only if there are any."""
        return (DETAIL_STRIDE, *STRIDES) if self.columns_before else STRIDES

    @cached_property
    def columns_before(self) -> int:
        """Number of columns in the middle of the stem."""
        return -min(0, *(cell.column for cell in self.cells))

    @cached_property
    def feeds(self) -> dict[int, int]:
        """By cell what it reads in its branch: another cell or :data:`STEM`."""
        return {link.target: link.source for link in reversed(self.links) if link.target != HEAD}

    @property
    def forks(self) -> list[int]:
        """Where branches part: behind which cells or :data:`STEM`."""
        sources = [link.source for link in self.links]
        return [end for end in dict.fromkeys(sources) if sources.count(end) > 1]

    def rows(self, lane: int) -> int:
        """Number of rows of a lane; 0 where no cell stands."""
        return max((cell.row + 1 for cell in self.cells if cell.lane == lane), default=0)


def arrange(
    cells: Sequence[LaidCell], links: Sequence[Link], outputs: Sequence[int], gates: Sequence[Link] = ()
) -> Layout:
    """The layout of cells whose rows are still to be chosen.

    Consecutive cells of one branch in one lane (a run) share a row. Each run takes the first free one, runs of
    branches that end at finer strides first: so a wire that goes down seldom crosses another branch.
    """
    layout = Layout(tuple(cells), tuple(links), tuple(outputs), tuple(gates))
    placed: list[_Run] = []
    for run in _find_runs(layout):
        row = 0
        while any(other.row == row and run.blocks(other) for other in placed):
            row += 1
        placed.append(replace(run, row=row))
    rows = {index: run.row for run in placed for index in run.members}
    return replace(layout, cells=tuple(replace(cell, row=rows[index]) for index, cell in enumerate(cells)))


@dataclass(frozen=True)
class _Run:
    """Consecutive cells of one branch in one lane.

    Attributes:
        members: Their indices.
        lead: The first branch that has them.
        lane: The lane.
        start: Column of the first cell.
        stop: Column of the last cell, or past the deepest one of all where the wire goes on to the head.
        parent: Lead of the cell that feeds the run from within the lane, else None.
        row: Row in the lane.
    """

    members: tuple[int, ...]
    lead: int
    lane: int
    start: int
    stop: int
    parent: int | None
    row: int = 0

    def blocks(self, other: _Run) -> bool:
        """Whether the two may not share a row. A free column stays between runs unless the one feeds the other."""
        first, second = sorted((self, other), key=lambda run: run.start)
        if self.lane != other.lane or (second.start == first.stop + 1 and second.parent == first.lead):
            return False
        return second.start <= first.stop + 1


def _find_runs(layout: Layout) -> list[_Run]:
    cells, last = layout.cells, {link.source for link in layout.links if link.target == HEAD}
    members: dict[tuple[int, int], list[int]] = {}
    for index, cell in enumerate(cells):
        members.setdefault((cell.branches[0], cell.lane), []).append(index)
    runs = []
    for (lead, lane), own in sorted(members.items()):
        feeder = layout.feeds[own[0]]
        parent = cells[feeder].branches[0] if feeder >= 0 and cells[feeder].lane == lane else None
        stop = layout.columns if own[-1] in last else cells[own[-1]].column
        runs.append(_Run(tuple(own), lead, lane, cells[own[0]].column, stop, parent))
    return runs
