"""The adaptive multi-output decode head, for mmseg."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.utils import SampleList
from torch import Tensor, nn

from hyctas_mm.archs import Architecture, SearchSpace, load_arch, num_channels
from hyctas_mm.models.backbones.hyctas import RELEASE_INIT, STRIDES, BranchFeatures, Stem
from hyctas_mm.models.decode_heads.aggregation import Aggregation, branch_channels, full_branch_channels
from hyctas_mm.models.decode_heads.trunk import Trunk
from hyctas_mm.registry import MODELS


@MODELS.register_module()
class HyCTASHead(BaseDecodeHead):
    """Aggregates the outputs of any HyCTAS architecture and predicts classes (paper section 3.2).

    For a fixed network it is one aggregation and one trunk; for the supernet there is one of each for every output combination, all seven
    of {8, 16, 32}. NOTE(paper): the paper lists six and leaves out (16, 32), which its own space contains. The head reads the backbone's
    ``outputs='branches'``.

    Auxiliary heads at strides 16 and 32, where the network has them, are light trunks used in training only.

    Args:
        arch: As in :class:`HyCTASBackbone`.
        search_space: As in :class:`HyCTASBackbone`.
        base_channels: As in :class:`HyCTASBackbone`.
        num_classes: Number of classes.
        aux_weight: Weight of each auxiliary loss; 0 builds no auxiliary heads.
        norm_cfg: Norm layers; the supernet needs ``BN``.
        dropout_ratio: Dropout before the predictor.
        node_cfg: The fusing node of the aggregation.
        init_cfg: mmengine's initialisation; by default that of the release.
        **kwargs: ``loss_decode``, ``ignore_index``, ``sampler``, ``align_corners`` and so on, see mmseg's ``BaseDecodeHead``.

    Raises:
        ValueError: If not exactly one of ``arch`` and ``search_space`` is given.
    """

    def __init__(
        self,
        arch: str | Path | Mapping[str, Any] | Architecture | None = None,
        search_space: Mapping[str, Any] | SearchSpace | None = None,
        base_channels: int = 8,
        *,
        num_classes: int,
        aux_weight: float = 0.2,
        norm_cfg: Mapping[str, Any] = dict(type='BN'),
        dropout_ratio: float = 0.0,
        node_cfg: Mapping[str, Any] = dict(type='HyCTASNode'),
        init_cfg: Any = RELEASE_INIT,
        **kwargs: Any,
    ) -> None:
        if (arch is None) == (search_space is None):
            raise ValueError(f'give either arch or search_space, got arch={arch!r} and search_space={search_space!r}')
        space = None if search_space is None else SearchSpace.from_dict(search_space)
        base_channels = space.base_channels if space else base_channels
        init_cfg = [dict(c) for c in init_cfg] if isinstance(init_cfg, tuple) else init_cfg
        fused = num_channels(8, 12, base_channels)
        super().__init__(
            fused, fused, num_classes=num_classes, norm_cfg=dict(norm_cfg), dropout_ratio=dropout_ratio, init_cfg=init_cfg, **kwargs
        )
        del self.conv_seg, self.dropout  # each trunk has its own
        self.search_space, self.base_channels, self.aux_weight = space, base_channels, aux_weight
        self.node_cfg = node_cfg
        if space is None:
            self.arch = load_arch(arch)  # type: ignore[arg-type]
            self._build_fixed(self.arch)
        else:
            self._build_supernet(space)
            self.set_arch(space.sample(np.random.default_rng(0), space.max_branches))

    # Building -----------------------------------------------------------------------------------------------------------------

    def _channels(self, width: int) -> tuple[int, ...]:
        """Channels at strides 8, 16, 32 of the aggregation."""
        return tuple(num_channels(s, width, self.base_channels) for s in STRIDES)

    def _stem_channels(self, width: int) -> tuple[int, int]:
        _, stem4, stem8 = Stem.channels(width, self.base_channels)
        return stem4, stem8

    def _aggregation(self, strides: tuple[int, ...], maps: list[list[int]], channels: tuple[int, ...], slim: bool) -> Aggregation:
        aux = self.aux_weight > 0
        return Aggregation(strides, maps, channels, aux, self.norm_cfg, slim, self.align_corners, self.node_cfg)

    def _trunk(self, in_channels: int, stem: tuple[int, int], low_level: str, attention: bool, slim: bool) -> Trunk:
        return Trunk(
            in_channels, stem, self.out_channels, low_level, attention, self.norm_cfg, self.dropout_ratio, slim, self.align_corners
        )

    def _build_fixed(self, arch: Architecture) -> None:
        channels, stem = self._channels(arch.head_width), self._stem_channels(arch.stem_width)
        self.aggregation = self._aggregation(arch.output_strides, branch_channels(arch, self.base_channels), channels, slim=False)
        self.trunk = self._trunk(channels[0] * len(arch.branches), stem, arch.low_level, arch.head_attention, slim=False)
        self.aux = nn.ModuleDict()
        for stride, size in self._aux_channels(arch.output_strides, channels):
            self.aux[f's{stride}'] = self._trunk(size, stem, 'none', True, slim=False)

    def _build_supernet(self, space: SearchSpace) -> None:
        channels, stem = self._channels(max(space.head_widths)), self._stem_channels(max(space.stem_widths))
        self.aggregations, self.trunks, self.auxes = nn.ModuleDict(), nn.ModuleDict(), nn.ModuleDict()
        for strides in space.end_combinations():
            key = _key(strides)
            maps = full_branch_channels(strides, self._channels(12), stem[1])
            self.aggregations[key] = self._aggregation(strides, maps, channels, slim=True)
            attention = True in space.head_attentions
            self.trunks[key] = nn.ModuleDict(
                {low: self._trunk(channels[0] * len(strides), stem, low, attention, slim=True) for low in space.low_levels}
            )
            self.auxes[key] = nn.ModuleDict(
                {f's{s}': self._trunk(size, stem, 'none', True, slim=True) for s, size in self._aux_channels(strides, channels)}
            )

    def _aux_channels(self, strides: tuple[int, ...], channels: tuple[int, ...]) -> list[tuple[int, int]]:
        """Stride and channels of each auxiliary map."""
        pairs = list(zip(STRIDES[1:], channels[1:], strict=True))
        return [(s, size) for s, size in pairs if s <= strides[-1]] if self.aux_weight > 0 else []

    # The architecture ---------------------------------------------------------------------------------------------------------

    def set_arch(self, arch: Architecture) -> None:
        """Chooses the aggregation and trunk that the supernet's head computes.

        Raises:
            ValueError: If this is the head of a fixed network.
        """
        if self.search_space is None:
            raise ValueError('a fixed HyCTASHead has one architecture; build it with search_space=... to choose')
        self.arch = arch
        channels, stem = self._channels(arch.head_width), self._stem_channels(arch.stem_width)
        parts = dict(self.active_parts())
        parts.pop('aggregation').activate(branch_channels(arch, self.base_channels), channels)
        parts.pop('trunk').activate(channels[0] * len(arch.branches), stem, arch.head_attention)
        for stride, size in self._aux_channels(arch.output_strides, channels):
            parts[f'aux.s{stride}'].activate(size, stem, True)

    def active_parts(self) -> Iterator[tuple[str, nn.Module]]:
        """The supernet's modules in use, under the name that each has in the fixed network."""
        aggregation, trunk, aux = self._active()
        yield 'aggregation', aggregation
        yield 'trunk', trunk
        for name, module in aux.items():
            yield f'aux.{name}', module

    def _active(self) -> tuple[nn.Module, nn.Module, nn.ModuleDict]:
        if self.search_space is None:
            return self.aggregation, self.trunk, self.aux
        key = _key(self.arch.output_strides)
        return self.aggregations[key], self.trunks[key][self.arch.low_level], self.auxes[key]

    def drop_auxiliary(self) -> None:
        """Removes the auxiliary heads of a fixed network."""
        self.aux = nn.ModuleDict()
        self.aggregation.fuse16 = self.aggregation.fuse32 = None

    # Computing ----------------------------------------------------------------------------------------------------------------

    def forward_all(self, features: BranchFeatures) -> list[Tensor]:
        """Logits of the main head, then in training those of the auxiliary heads at strides 16 and 32."""
        aggregation, trunk, aux = self._active()
        fused, *others = aggregation(features.branches)
        outputs = [trunk(fused, features.stem4, features.stem8)]
        outputs += [head(x, features.stem4, features.stem8) for head, x in zip(aux.values(), others, strict=False)]
        return outputs

    def forward(self, inputs: BranchFeatures) -> Tensor:
        """Logits of the main head, (B, classes, H/8, W/8), at stride 4 with low-level fusion."""
        if not isinstance(inputs, BranchFeatures):
            raise TypeError(
                f"HyCTASHead reads a HyCTASBackbone with outputs='branches', got {type(inputs).__name__}; set that in the backbone's config"
            )
        return self.forward_all(inputs)[0]

    def loss(self, inputs: BranchFeatures, batch_data_samples: SampleList, train_cfg: Any) -> dict[str, Tensor]:
        """Losses of the main head and, as ``aux16.*`` and ``aux32.*``, of the auxiliary heads times ``aux_weight``."""
        main, *aux = self.forward_all(inputs)
        losses = self.loss_by_feat(main, batch_data_samples)
        for name, logits in zip(self._active()[2], aux, strict=True):
            extra = self.loss_by_feat(logits, batch_data_samples)
            losses.update({f'aux{name[1:]}.{k}': v * self.aux_weight for k, v in extra.items() if 'loss' in k})
        return losses


def _key(strides: tuple[int, ...]) -> str:
    return '_'.join(map(str, strides))


