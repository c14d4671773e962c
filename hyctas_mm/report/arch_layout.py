"""On which row of which lane the cells of a network stand, in the drawing and in the sketch."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hyctas_mm.archs import Architecture

STRIDES = (8, 16, 32)
"""The lanes, from fine to coarse."""


@dataclass(frozen=True)
class Run:
    """Consecutive cells of one branch in one lane; they stand on one row.

    Attributes:
        lead: The first branch that has the cells.
        stride: The lane.
        start: Layer of the first cell.
        stop: Layer of the last cell, or past the deepest one where the wire goes on to the head.
        parent: Lead of the cell that feeds the run from within the same lane, else None.
        row: Row within the lane.
    """

    lead: int
    stride: int
    start: int
    stop: int
    parent: int | None
    row: int = 0

    def blocks(self, other: Run) -> bool:
        """Whether the two may not share a row. A free column stays between runs unless the one feeds the other."""
        first, second = sorted((self, other), key=lambda run: run.start)
        if second.start == first.stop + 1 and second.parent == first.lead:
            return False
        return second.start <= first.stop + 1


def place_runs(arch: Architecture) -> dict[tuple[int, int], Run]:
    """The runs of a network by (lead, stride).

    Each takes the first free row, branches that end at finer strides first: so a wire that goes down seldom crosses another branch.
    """
    placed: list[Run] = []
    for run in sorted(_find_runs(arch), key=lambda r: (r.lead, r.stride)):
        row = 0
        while any(run.stride == o.stride and o.row == row and run.blocks(o) for o in placed):
            row += 1
        placed.append(replace(run, row=row))
    return {(r.lead, r.stride): r for r in placed}


def count_rows(runs: dict[tuple[int, int], Run]) -> dict[int, int]:
    """Rows of each lane."""
    return {stride: max((r.row + 1 for r in runs.values() if r.stride == stride), default=0) for stride in STRIDES}


def _find_runs(arch: Architecture) -> list[Run]:
    leads = {(b, c.layer): c for c in arch.cells for b in c.branches}
    layers: dict[tuple[int, int], list[int]] = {}
    for cell in arch.cells:
        layers.setdefault((cell.branches[0], cell.stride_out), []).append(cell.layer)
    runs = []
    for (lead, stride), own in layers.items():
        start, stop = own[0], own[-1]
        before = leads.get((lead, start - 1))
        parent = before.branches[0] if before and before.stride_out == stride else None
        if stop == len(arch.branches[lead]) - 1:
            stop = max(map(len, arch.branches))  # its wire goes on to the head
        runs.append(Run(lead, stride, start, stop, parent))
    return runs
