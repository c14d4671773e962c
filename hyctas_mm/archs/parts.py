"""What an architecture is made of, and what can be wrong with one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hyctas_mm.errors import BadValue

DETAIL_STRIDE, STEM_STRIDE = 4, 8
MAX_DOWNS = 2
STRIDES = tuple(STEM_STRIDE << downs for downs in range(MAX_DOWNS + 1))
"""Strides of the maps between stem and head, from fine to coarse: 8, 16, 32."""

FULL_WIDTH, MAX_WIDTH = 12, 24
HEAD_DEPTHS = (1, 2, 3)
LOW_LEVELS = ('none', 's4', 's4s8')
"""Low-level fusion of the head: nothing, the stem's stride-4 map, its stride-4 and stride-8 maps (the release's model
types 0, 1, 2).
"""


class ArchitectureError(BadValue):
    """An architecture that cannot be. ``problems`` lists each reason, one sentence each."""

    def __init__(self, problems: Sequence[str], source: str = 'architecture') -> None:
        self.problems = list(problems)
        super().__init__(f'{source}: ' + '; '.join(self.problems))


@dataclass(frozen=True, slots=True)
class Cell:
    """One searched cell.

    Attributes:
        op: Name of the candidate op.
        width: Output width in twelfths of the full width at its output stride, 1..24; the paper's are at most 12.
        down: Whether the cell halves the resolution.
    """

    op: str
    width: int
    down: bool = False


Branch = tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class PlacedCell:
    """A cell at its place in the network, evaluated once for all the branches that share it.

    Attributes:
        layer: Depth in its branches, from 0.
        branches: Indices of the branches that share the cell, ascending.
        cell: Op, output width and down flag.
        stride_in: Stride of the map the cell reads (8, 16 or 32).
        width_in: Width of that map in twelfths.
    """

    layer: int
    branches: tuple[int, ...]
    cell: Cell
    stride_in: int
    width_in: int

    @property
    def stride_out(self) -> int:
        return self.stride_in * (2 if self.cell.down else 1)

    @property
    def name(self) -> str:
        """``'<layer>_<first branch>'``, unique in a network; the cell's parameter prefix."""
        return f'{self.layer}_{self.branches[0]}'


@dataclass(frozen=True, slots=True, order=True)
class Gate:
    """An open node between two branches: after a layer the map of one is added to that of the other (paper section
    3.2).

    Attributes:
        layer: Index of the cells after which it stands, in the chains of both branches, from 0.
        source: Index of the branch that gives its map; of branches that share the cell there, the first.
        target: Index of the branch whose map is changed; likewise the first.
    """

    layer: int
    source: int
    target: int

    @property
    def name(self) -> str:
        """``'<layer>_<source>_<target>'``, unique in a network; the fusion's parameter prefix."""
        return f'{self.layer}_{self.source}_{self.target}'


def num_channels(stride: int, width: int, base_channels: int) -> int:
    """Channels of a map: ``stride * base_channels * width / 12``, rounded half to even, at least 1.

    The paper's filter multiplier (section 4.2) is ``base_channels``; a full-width map at stride 8 has
    ``8 * base_channels`` channels.
    """
    return max(1, round(stride * base_channels * width / FULL_WIDTH))


def num_downs(branch: Sequence[Cell]) -> int:
    """How often a chain of cells goes down."""
    return sum(c.down for c in branch)
