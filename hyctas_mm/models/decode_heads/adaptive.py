"""Aggregation and trunks for any architecture: what the semantic and the panoptic head have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from torch import Tensor, nn

from hyctas_mm.archs import DETAIL_STRIDE, STRIDES, Architecture, SearchSpace, load_arch, num_channels
from hyctas_mm.errors import BadType, BadValue
from hyctas_mm.models.backbones.hyctas import BranchFeatures
from hyctas_mm.models.backbones.stem import Stem, detail_channels
from hyctas_mm.models.decode_heads.aggregation import Aggregation, branch_channels, full_branch_channels
from hyctas_mm.models.decode_heads.trunk import Trunk
from hyctas_mm.models.layers import MakeBlock

T = TypeVar('T')
Arch = str | Path | Mapping[str, Any] | Architecture
Tasks = Mapping[str, Mapping[str, int]]
"""For ``'semantic'`` and ``'instance'`` the channels of each prediction, by name."""


def read_space(
    part: str, arch: Arch | None, search_space: Mapping[str, Any] | SearchSpace | None
) -> SearchSpace | None:
    """The search space of a supernet's part, None for a fixed network's.

    Args:
        part: The part's class, named in errors.
        arch: The architecture of a fixed network.
        search_space: The space of a supernet.

    Raises:
        ValueError: If not exactly one of the two is given.
    """
    if (arch is None) == (search_space is None):
        raise BadValue(f'{part}: give either arch or search_space, got arch={arch!r} and search_space={search_space!r}')
    return None if search_space is None else SearchSpace.from_dict(search_space)


class AdaptiveHead(nn.Module):
    """A head that follows the output combination of its architecture (paper section 3.2).

    A mixin: a fixed network's head has one aggregation and one trunk for each task; the supernet's has one of each for
    every output combination, all seven of {8, 16, 32}, or with ``shared_trunk`` one aggregation for each and the same
    trunks behind them all, which then learn from every step. NOTE(paper): the paper lists six and leaves out (16, 32),
    which its own space contains. Auxiliary trunks at strides 16 and 32, where the network has them, are light (no
    low-level fusion) and used in training only.
    """

    arch: Architecture
    search_space: SearchSpace | None

    def build_parts(
        self,
        arch: Arch | None,
        search_space: SearchSpace | None,
        base_channels: int,
        tasks: Tasks,
        aux_weight: float,
        norm_cfg: Mapping[str, Any],
        dropout_ratio: float,
        node_cfg: Mapping[str, Any],
        align_corners: bool,
        shared_trunk: bool,
    ) -> None:
        """Builds the aggregations and trunks; to be called once, after the constructor of the framework's own head."""
        self.search_space, self.aux_weight = search_space, aux_weight
        self.base_channels = search_space.base_channels if search_space else base_channels
        self._tasks, self._dropout, self._shared_trunk = tasks, dropout_ratio, shared_trunk
        self._options: dict[str, Any] = dict(
            norm_cfg=norm_cfg, slim=search_space is not None, align_corners=align_corners
        )
        self._node_cfg = node_cfg
        if search_space is None:
            self.arch = load_arch(arch)  # type: ignore[arg-type]
            self._build_fixed(self.arch)
        else:
            self._build_supernet(search_space)
            self.set_arch(search_space.sample(np.random.default_rng(0), search_space.max_branches))

    def _channels(self, width: int) -> tuple[int, ...]:
        """Channels at strides 8, 16, 32 of the aggregation."""
        return tuple(num_channels(s, width, self.base_channels) for s in STRIDES)

    def _stem_channels(self, arch: Architecture) -> tuple[int, int]:
        """Channels of the maps at strides 4 and 8 that the trunks fuse."""
        stem8 = Stem.channels(arch.stem_width, self.base_channels)[2]
        return detail_channels(arch, self.base_channels)[-1], stem8

    def _aggregation(self, strides: tuple[int, ...], maps: list[list[int]], channels: tuple[int, ...]) -> Aggregation:
        return Aggregation(strides, maps, channels, self.aux_weight > 0, node_cfg=self._node_cfg, **self._options)

    def _trunk(
        self, in_channels: int, stem: tuple[int, int], low_level: str = 'none', attention: bool = True, depth: int = 1
    ) -> nn.ModuleDict:
        return nn.ModuleDict(self._by_task(Trunk, in_channels, stem, low_level, attention, depth))

    def _by_task(
        self,
        make: Callable[..., T],
        in_channels: int,
        stem: tuple[int, int],
        low_level: str,
        attention: bool,
        depth: int,
    ) -> dict[str, T]:
        """One trunk for each task."""
        options = dict(low_level=low_level, attention=attention, depth=depth, dropout_ratio=self._dropout)
        options |= self._options
        return {task: make(in_channels, stem, outputs, task=task, **options) for task, outputs in self._tasks.items()}

    def _build_fixed(self, arch: Architecture) -> None:
        channels, stem = self._channels(arch.head_width), self._stem_channels(arch)
        self.aggregation = self._aggregation(arch.output_strides, branch_channels(arch, self.base_channels), channels)
        size = channels[0] * len(arch.branches)
        self.trunk = self._trunk(size, stem, arch.low_level, arch.head_attention, arch.head_depth)
        self.aux = nn.ModuleDict()
        for stride, size in self._aux_channels(arch.output_strides, channels):
            self.aux[f's{stride}'] = self._trunk(size, stem)

    def _build_supernet(self, space: SearchSpace) -> None:
        channels = self._channels(max(space.head_widths))
        _, stem4, stem8 = Stem.channels(max(space.stem_widths), self.base_channels)
        detailed = num_channels(DETAIL_STRIDE, space.widest(DETAIL_STRIDE), self.base_channels)
        stem = (max(stem4, detailed) if space.detail_layers else stem4, stem8)
        widest = tuple(num_channels(s, space.widest(s), self.base_channels) for s in STRIDES)
        self.aggregations, self.trunks, self.auxes = nn.ModuleDict(), nn.ModuleDict(), nn.ModuleDict()
        attention, depth = True in space.head_attentions, max(space.head_depths)
        for strides in space.end_combinations():
            maps = full_branch_channels(strides, widest)
            self.aggregations[_key(strides)] = self._aggregation(strides, maps, channels)
            key = self._trunk_key(strides)
            if key not in self.trunks:
                strides = STRIDES if self._shared_trunk else strides
                size = channels[0] * min(len(strides), space.max_branches)
                self.trunks[key] = nn.ModuleDict(
                    {low: self._trunk(size, stem, low, attention, depth) for low in space.low_levels}
                )
                self.auxes[key] = nn.ModuleDict(
                    {f's{s}': self._trunk(size, stem) for s, size in self._aux_channels(strides, channels)}
                )

    def _trunk_key(self, strides: tuple[int, ...]) -> str:
        return 'all' if self._shared_trunk else _key(strides)

    def _aux_channels(self, strides: tuple[int, ...], channels: tuple[int, ...]) -> list[tuple[int, int]]:
        """Stride and channels of each auxiliary map."""
        pairs = list(zip(STRIDES[1:], channels[1:], strict=True))
        return [(s, size) for s, size in pairs if s <= strides[-1]] if self.aux_weight > 0 else []

    # The architecture -------------------------------------------------------------------------------------------------

    def set_arch(self, arch: Architecture) -> None:
        """Chooses the aggregation and trunks that the supernet's head computes.

        Raises:
            ValueError: If this is the head of a fixed network.
        """
        if self.search_space is None:
            raise BadValue(
                f'{type(self).__name__}: a fixed network has one architecture; build it with search_space=... to choose'
            )
        self.arch = arch
        channels, stem = self._channels(arch.head_width), self._stem_channels(arch)
        aggregation, trunk, aux = self._active()
        aggregation.activate(branch_channels(arch, self.base_channels), channels)
        for part in trunk.values():
            part.activate(channels[0] * len(arch.branches), stem, arch.head_attention, arch.head_depth)
        for stride, size in self._aux_channels(arch.output_strides, channels):
            for part in aux[f's{stride}'].values():
                part.activate(size, stem)

    def active_parts(self) -> Iterator[tuple[str, nn.Module]]:
        """The supernet's modules in use, under the name that each has in the fixed network."""
        aggregation, trunk, aux = self._active()
        yield 'aggregation', aggregation
        yield 'trunk', trunk
        for name, module in aux.items():
            yield f'aux.{name}', module

    def _active(self) -> tuple[Aggregation, nn.ModuleDict, dict[str, nn.Module]]:
        if self.search_space is None:
            return self.aggregation, self.trunk, dict(self.aux.items())
        strides = self.arch.output_strides
        key = self._trunk_key(strides)
        auxes = {name: trunk for name, trunk in self.auxes[key].items() if int(name[1:]) <= strides[-1]}
        return self.aggregations[_key(strides)], self.trunks[key][self.arch.low_level], auxes

    def drop_auxiliary(self) -> None:
        """Removes the auxiliary trunks of a fixed network."""
        self.aux = nn.ModuleDict()
        self.aggregation.fuse16 = self.aggregation.fuse32 = None

    def compose_maps(self, arch: Architecture, features: BranchFeatures, block: MakeBlock) -> dict[str, Any]:
        """The main trunks' part of :meth:`predict_maps` in the network of ``arch``, with shapes in place of maps."""
        fused = self.aggregation.compose(arch, self.base_channels, features.branches, block)
        channels, stem = fused[1], self._stem_channels(arch)
        settings = (arch.low_level, arch.head_attention, arch.head_depth)
        trunk = self._by_task(partial(block, Trunk), channels, stem, *settings)
        return {out: x for part in trunk.values() for out, x in part(fused, features.stem4, features.stem8).items()}

    # Computing --------------------------------------------------------------------------------------------------------

    def predict_maps(self, features: BranchFeatures) -> dict[str, dict[str, Tensor]]:
        """Every prediction by name, of the main trunks as ``'main'``, in training also of the auxiliary ones as
        ``'aux16'``, ``'aux32'``.
        """
        if not isinstance(features, BranchFeatures):
            raise BadType(
                f"{type(self).__name__}: expected the branches of a HyCTASBackbone with outputs='branches', got "
                f'{type(features).__name__}; '
                "set that in the backbone's config"
            )
        aggregation, trunk, aux = self._active()
        maps = aggregation(features.branches)
        names = ['main', *(f'aux{name[1:]}' for name in aux)]
        return {
            name: {out: x for part in parts.values() for out, x in part(fused, features.stem4, features.stem8).items()}
            # no auxiliary maps outside of training
            for name, parts, fused in zip(names, [trunk, *aux.values()], maps, strict=False)
        }


def _key(strides: tuple[int, ...]) -> str:
    return '_'.join(map(str, strides))
