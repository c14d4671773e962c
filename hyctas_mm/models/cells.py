"""The searchable cell: the candidate ops at one (layer, stride) of the supernet (paper section 3.2, Figure 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from hyctas_mm.archs import SKIP, Cell
from hyctas_mm.models.ops import Op, build_op
from hyctas_mm.registry import MODELS


@MODELS.register_module()
class HyCTASCell(nn.Module):
    """Every candidate op at one layer and stride, at its full width.

    Skip has no module: it vanishes from the canonical form of an architecture.

    Args:
        ops: Names of the candidate ops.
        channels: Full width at this stride, input and output.
        down_channels: Full width at twice this stride; None where no cell may go down (stride 32).
        norm_cfg: mmcv's norm config.
    """

    def __init__(
        self, ops: Sequence[str], channels: int, down_channels: int | None, norm_cfg: Mapping[str, Any]
    ) -> None:
        super().__init__()
        names = [name for name in ops if name != SKIP]
        self.same = nn.ModuleDict(
            {name: build_op(name, channels, channels, False, norm_cfg, slim=True) for name in names}
        )
        self.down = nn.ModuleDict()
        if down_channels is not None:
            self.down.update(
                {name: build_op(name, channels, down_channels, True, norm_cfg, slim=True) for name in names}
            )

    def select(self, cell: Cell, in_channels: int, out_channels: int, slot: int) -> Op:
        """The op of ``cell``, activated for these channels and this use."""
        op: Op = (self.down if cell.down else self.same)[cell.op]
        op.activate(in_channels, out_channels, slot)
        return op
