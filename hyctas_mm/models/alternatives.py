"""What a supernet's cells might have computed instead, as gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from hyctas_mm.archs import Cell, PlacedCell
from hyctas_mm.models.layers import resize


@dataclass(frozen=True)
class Alternative:
    """The second choice of a cell.

    Attributes:
        op: Another op, None for none.
        op_weight: How much of it there is, a scalar with a gradient; only its gradient counts, not its value.
        width: A narrower width in twelfths, None for none.
        width_weight: How much of that there is, likewise.
    """

    op: str | None = None
    op_weight: Tensor | None = None
    width: int | None = None
    width_weight: Tensor | None = None


class Alternatives:
    """Second choices of the cells of one architecture, mixed into its maps with weight zero.

    The maps are those of the architecture. The gradient of a loss by the weight of a second choice is what the loss
    would change by, to the first order, if the cell's map were that choice's: ``<dL/dy, y2 - y>``. The map of another
    op is computed without gradients of its own, so there is one path in memory and two maps in each cell. A narrower
    width is the same map without the channels behind it.

    A weight on the first choice alone (``p - p.detach() + 1``) would say nothing here: batch norm follows every
    convolution, so a loss does not depend on the scale of the maps before it.

    Args:
        by_cell: By :attr:`~hyctas_mm.archs.PlacedCell.name`.
    """

    def __init__(self, by_cell: Mapping[str, Alternative]) -> None:
        self.by_cell = dict(by_cell)

    def mix(self, placed: PlacedCell, compute: Callable[[Cell], Tensor], channels: Callable[[int], int]) -> Tensor:
        """The map of a cell.

        Args:
            placed: The cell.
            compute: The map of the cell with any op, (B, C, H, W).
            channels: The channels of a width here.
        """
        second, cell = self.by_cell.get(placed.name, Alternative()), placed.cell
        other = None
        if second.op is not None:  # first, as it activates the op's layers, which a cell of the same op would use
            with torch.no_grad():
                other = compute(Cell(second.op, cell.width, cell.down))
        y = compute(cell)
        mixed = y
        if other is not None and second.op_weight is not None:
            mixed = mixed + _zero(second.op_weight, y) * (resize(other, y.shape[2:]) - y.detach())
        if second.width is not None and second.width_weight is not None:
            there = torch.arange(y.shape[1], device=y.device) < channels(second.width)
            behind = y.detach().masked_fill(there.view(1, -1, *(1,) * (y.dim() - 2)), 0.0)
            mixed = mixed - _zero(second.width_weight, y) * behind
        return mixed


def _zero(weight: Tensor, like: Tensor) -> Tensor:
    """0 with the gradient of the weight."""
    return (weight - weight.detach()).to(like)
