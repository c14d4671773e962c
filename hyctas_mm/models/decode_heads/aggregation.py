"""From the branches' maps to one map per stride: the part of the head that depends on the output combination (paper
section 3.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from hyctas_mm.archs import STRIDES, Architecture, num_channels
from hyctas_mm.models.layers import MakeBlock, resize
from hyctas_mm.models.nodes import ChannelFusion
from hyctas_mm.registry import MODELS

T = TypeVar('T')


class Aggregation(nn.Module):
    """Brings every branch back to stride 8 and fuses the branches.

    Each branch is fused upwards node by node; the results are concatenated in the order of the branches and fused with
    channel attention. The auxiliary maps at strides 16 and 32 are made in training only (NOTE(release): the release
    computes and stores them at inference too).

    Args:
        strides: Final strides of the branches, the output combination.
        maps: For each branch the channels of its maps, stride 8 first, at full width if ``slim``.
        channels: Channels of a full map at strides 8, 16, 32.
        aux: Whether auxiliary maps are made.
        norm_cfg: mmcv's norm config.
        slim: Whether the layers are slimmable.
        align_corners: Of the upsampling.
        node_cfg: The fusing node.
    """

    def __init__(
        self,
        strides: tuple[int, ...],
        maps: list[list[int]],
        channels: tuple[int, ...],
        aux: bool,
        norm_cfg: Mapping[str, Any],
        slim: bool = False,
        align_corners: bool = False,
        node_cfg: Mapping[str, Any] = dict(type='HyCTASNode'),
    ) -> None:
        super().__init__()
        self.strides, self.full_maps, self.full = strides, maps, channels
        self.align_corners, self._norm_cfg = align_corners, norm_cfg
        self._node_cfg = dict(node_cfg, slim=slim, align_corners=align_corners)
        self.nodes = nn.ModuleDict({name: MODELS.build(cfg) for name, cfg in self._nodes(strides, maps, channels)})
        size = channels[0] * len(strides)
        self.fuse8 = ChannelFusion([(channels[0], channels[0])] * len(strides), size, norm_cfg, slim)
        self.fuse16 = self.fuse32 = None
        if aux and strides[-1] >= 16:
            inputs = [(sizes[1], sizes[1]) for sizes in maps if len(sizes) > 1]
            self.fuse16 = ChannelFusion(inputs, channels[1], norm_cfg, slim)
        if aux and strides[-1] == 32:
            self.fuse32 = ChannelFusion(channels[2], channels[2], norm_cfg, slim)

    def _nodes(
        self, strides: tuple[int, ...], maps: list[list[int]], channels: tuple[int, ...]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Name and config of each node."""
        for stride, sizes in zip(strides, maps, strict=True):
            for level in range(len(sizes) - 2, -1, -1):  # from the coarsest pair to stride 8
                sized = dict(coarse=channels[level + 1], fine=sizes[level], out_channels=channels[level])
                yield f'{stride}_{STRIDES[level]}', dict(self._node_cfg, **sized, norm_cfg=dict(self._norm_cfg))

    def compose(
        self, arch: Architecture, base_channels: int, branches: tuple[tuple[T, ...], ...], block: MakeBlock
    ) -> Any:
        """What :meth:`forward` does for ``arch`` outside of training, with shapes in place of maps."""
        strides = arch.output_strides
        channels = tuple(num_channels(stride, arch.head_width, base_channels) for stride in STRIDES)
        nodes = dict(self._nodes(strides, branch_channels(arch, base_channels), channels))
        fine: list[Any] = _fuse_up(strides, branches, lambda name: block(MODELS.build, nodes[name]))
        size = channels[0] * len(strides)
        fuse8 = block(ChannelFusion, [(channels[0], channels[0])] * len(strides), size, self._norm_cfg)
        batch, _, height, width = fine[0]
        return fuse8((batch, sum(shape[1] for shape in fine), height, width))

    def activate(self, maps: list[list[int]], channels: tuple[int, ...]) -> None:
        """Chooses the channels of a slimmable aggregation."""
        for stride, sizes in zip(self.strides, maps, strict=True):
            for level in range(len(sizes) - 1):
                self.nodes[f'{stride}_{STRIDES[level]}'].activate(channels[level + 1], sizes[level], channels[level])
        self.fuse8.activate([(channels[0], self.full[0])] * len(maps), channels[0] * len(maps))
        if self.fuse16 is not None:
            pairs = zip(maps, self.full_maps, strict=True)
            self.fuse16.activate([(active[1], full[1]) for active, full in pairs if len(active) > 1], channels[1])
        if self.fuse32 is not None:
            self.fuse32.activate(channels[2], channels[2])

    def forward(self, branches: tuple[tuple[Tensor, ...], ...]) -> list[Tensor]:
        """Returns the fused map at stride 8; in training with auxiliary maps also those at 16 and 32 where there are
        any.
        """
        fine = _fuse_up(self.strides, branches, lambda name: self.nodes[name])
        outputs = [self.fuse8(self._concat(fine))]
        if self.training and self.fuse16 is not None:
            outputs.append(self.fuse16(self._concat([maps[1] for maps in branches if len(maps) > 1])))
        if self.training and self.fuse32 is not None:
            outputs.append(self.fuse32(branches[-1][2]))
        return outputs

    def _concat(self, maps: list[Tensor]) -> Tensor:
        # NOTE(release): branches that went down by different ops may differ by one position where the size is odd; it
        # crashes there.
        size = maps[0].shape[2:]
        return torch.cat([resize(x, size, self.align_corners) for x in maps], dim=1)


def _fuse_up(
    strides: tuple[int, ...], branches: tuple[tuple[T, ...], ...], node: Callable[[str], Callable[[T, T], T]]
) -> list[T]:
    """Each branch's map at stride 8, or its shape, fused node by node from its coarsest."""
    fine = []
    for stride, maps in zip(strides, branches, strict=True):
        x = maps[-1]
        for level in range(len(maps) - 2, -1, -1):
            x = node(f'{stride}_{STRIDES[level]}')(x, maps[level])
        fine.append(x)
    return fine


def branch_channels(arch: Architecture, base_channels: int) -> list[list[int]]:
    """For each branch the channels of its maps at stride 8, 16, ..."""
    return [
        [
            num_channels(stride, width, base_channels)
            for stride, width in zip(STRIDES, arch.feature_widths(index), strict=False)
        ]
        for index in range(len(arch.branches))
    ]


def full_branch_channels(strides: tuple[int, ...], widest: tuple[int, ...]) -> list[list[int]]:
    """The same for the supernet, from the most channels that maps at strides 8, 16, 32 have in any network."""
    return [list(widest[: 1 + STRIDES.index(stride)]) for stride in strides]
