"""From the image down to stride 8."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from hyctas_mm.archs import DETAIL_STRIDE, Architecture, num_channels
from hyctas_mm.models.layers import ConvBN


class Stem(nn.Module):
    """Five 3x3 convolutions down to stride 8.

    NOTE(release): the first has no activation; the widths are ``2 * C(2)``, ``2 * C(4)`` twice and ``C(8)`` twice,
    where ``C(s)`` is the full width at stride s.

    Args:
        width: In twelfths.
        base_channels: The filter multiplier.
        detailed: Channels of the map that cells put in place of the one at stride 4; None where there are no cells.
        norm_cfg: mmcv's norm config.
        slim: Whether the layers are slimmable.
    """

    def __init__(
        self, width: int, base_channels: int, detailed: int | None, norm_cfg: Mapping[str, Any], slim: bool = False
    ) -> None:
        super().__init__()
        self.cost_unit = detailed is None  # with cells in its middle each convolution is a part of its own
        options: dict[str, Any] = dict(norm_cfg=norm_cfg, slim=slim)
        convs = [ConvBN(*args, **options) for args in self.convs(width, base_channels, detailed)]
        self.conv2, self.conv4, self.conv8 = convs[0], nn.Sequential(*convs[1:3]), nn.Sequential(*convs[3:])

    @classmethod
    def convs(cls, width: int, base_channels: int, detailed: int | None) -> list[tuple[Any, ...]]:
        """The arguments of its five :class:`ConvBN`, of which three come before the cells at stride 4."""
        first, second, third = cls.channels(width, base_channels)
        return [
            (3, first, 3, 2, False),
            (first, second, 3, 2),
            (second, second, 3),
            (detailed or second, third, 3, 2),
            (third, third, 3),
        ]

    @staticmethod
    def channels(width: int, base_channels: int) -> tuple[int, int, int]:
        """Channels at strides 2, 4 and 8."""
        c2, c4, c8 = (num_channels(s, width, base_channels) for s in (2, 4, 8))
        return 2 * c2, 2 * c4, c8

    def activate(self, width: int, base_channels: int, detailed: int | None) -> None:
        """Chooses the width of a slimmable stem, and that of the map which cells give it."""
        convs = (self.conv2, *self.conv4, *self.conv8)
        for conv, (inputs, outputs, *_) in zip(convs, self.convs(width, base_channels, detailed), strict=True):
            conv.activate(inputs, outputs)

    def forward(self, x: Tensor, cells: Sequence[nn.Module] = ()) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W) to the maps at strides 4 and 8; ``cells`` work on the former."""
        stem4 = self.conv4(self.conv2(x))
        for cell in cells:
            stem4 = cell(stem4)
        return stem4, self.conv8(stem4)


def detail_channels(arch: Architecture, base_channels: int) -> tuple[int, ...]:
    """Channels of the stem's map at stride 4 and behind each of the cells there."""
    stem4 = Stem.channels(arch.stem_width, base_channels)[1]
    return (stem4, *(num_channels(DETAIL_STRIDE, cell.width, base_channels) for cell in arch.detail))
