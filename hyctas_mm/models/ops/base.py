"""The contract of a candidate op."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmcv.cnn.bricks import DropPath
from torch import Tensor, nn

from hyctas_mm.errors import UnknownName
from hyctas_mm.models.layers import Channels
from hyctas_mm.registry import OPS


class Op(nn.Module):
    """One candidate op: a map of ``in_channels`` at some stride to ``out_channels`` at the same stride, or at twice it
    if ``down``.

    A subclass takes these arguments, builds its layers with ``norm_cfg`` and ``slim``, and in :meth:`activate` passes
    the channels in use on to its slimmable layers.

    Args:
        in_channels: Input channels.
        out_channels: Output channels.
        down: Whether the op halves the resolution.
        norm_cfg: mmcv's norm config.
        slim: Whether the layers are slimmable.
    """

    cost_unit = True

    def __init__(
        self, in_channels: Channels, out_channels: int, down: bool, norm_cfg: Mapping[str, Any], slim: bool = False
    ) -> None:
        super().__init__()
        self.drop_path = DropPath(0.0)

    @property
    def droppable(self) -> bool:
        """Whether a bypass remains when ``drop_path`` drops the op's own path; see ``ScheduledDropPathHook``."""
        return False

    def activate(self, in_channels: Channels, out_channels: int, slot: int = 0) -> None:
        """Chooses the channels and, for the ``slot``-th use in a network, the batch norm statistics; slimmable ops
        only.
        """
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError


def build_op(
    name: str, in_channels: Channels, out_channels: int, down: bool, norm_cfg: Mapping[str, Any], slim: bool = False
) -> Op:
    """Builds a candidate op by name.

    Raises:
        KeyError: If no op of that name is registered.
    """
    cls = OPS.get(name)
    if cls is None:
        raise UnknownName(
            f'no op {name!r} is registered (there are {", ".join(sorted(OPS.module_dict))}); '
            'register yours with @register_op and name its module in custom_imports'
        )
    op: Op = cls(in_channels, out_channels, down, norm_cfg, slim)
    return op
