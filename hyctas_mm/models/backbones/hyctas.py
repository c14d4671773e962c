"""The HyCTAS backbone, as one fixed network or as the supernet of all."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from mmengine.model import BaseModule
from torch import Tensor, nn

from hyctas_mm.archs import DETAIL_STRIDE, STRIDES, Architecture, Gate, PlacedCell, SearchSpace, load_arch, num_channels
from hyctas_mm.errors import BadValue
from hyctas_mm.models.backbones.stem import Stem, detail_channels
from hyctas_mm.models.layers import MAX_SLOTS, ConvBN, MakeBlock
from hyctas_mm.models.nodes import GatedFusion
from hyctas_mm.models.ops import Op, build_op
from hyctas_mm.registry import MODELS

T = TypeVar('T')
RELEASE_INIT = (
    dict(type='Kaiming', layer='Conv2d', mode='fan_in', nonlinearity='relu'),
    dict(type='Constant', layer='_BatchNorm', val=1),
)
"""How the release initialises every convolution and norm of backbone and head."""


class BranchFeatures(NamedTuple):
    """What :class:`~hyctas_mm.models.decode_heads.HyCTASHead` reads.

    Attributes:
        stem4: The stem's map at stride 4, (B, C, H/4, W/4).
        stem8: The stem's map at stride 8.
        branches: For each branch its last map at stride 8, 16, ... up to its final stride.
    """

    stem4: Tensor
    stem8: Tensor
    branches: tuple[tuple[Tensor, ...], ...]


@MODELS.register_module()
class HyCTASBackbone(BaseModule):
    """The multi-branch network of HyCTAS (https://arxiv.org/abs/2403.10413, section 3.2).

    Give ``arch`` for one fixed network, or ``search_space`` for the supernet, which holds every candidate and computes
    the one chosen by :meth:`set_arch`.

    Args:
        arch: A published name (``'hyctas-s'``), a JSON file or the plain dict of an architecture.
        search_space: Arguments of :class:`~hyctas_mm.archs.SearchSpace`.
        base_channels: The paper's filter multiplier; full width at stride s is ``s * base_channels``. The supernet
            takes its space's.
        outputs: ``'pyramid'``: one map per stride, for any mmseg or mmdet head. ``'branches'``:
            :class:`BranchFeatures`, for ``HyCTASHead``. Default: ``'pyramid'``, for the supernet ``'branches'``.
        norm_cfg: Norm layers; ``BN`` or ``SyncBN`` in a supernet.
        cell_cfg: The supernet's searchable cell.
        init_cfg: mmengine's initialisation; by default that of the release.

    Attributes:
        arch: The architecture computed at present.
        alternatives: Second choices of a supernet's cells (:class:`~hyctas_mm.models.alternatives.Alternatives`).
        out_strides: Strides of the pyramid, e.g. (4, 8, 16, 32) where a branch ends at 32.
        out_channels: Channels of the pyramid.

    Raises:
        ValueError: If not exactly one of ``arch`` and ``search_space`` is given, or a value is none of those above.

    Example:
        >>> backbone = HyCTASBackbone(arch='hyctas-s', base_channels=12)
        >>> [tuple(x.shape) for x in backbone(torch.rand(1, 3, 64, 128))]
        [(1, 96, 16, 32), (1, 64, 8, 16), (1, 128, 4, 8), (1, 384, 2, 4)]
    """

    def __init__(
        self,
        arch: str | Path | Mapping[str, Any] | Architecture | None = None,
        search_space: Mapping[str, Any] | SearchSpace | None = None,
        base_channels: int = 8,
        outputs: str | None = None,
        norm_cfg: Mapping[str, Any] = dict(type='BN'),
        cell_cfg: Mapping[str, Any] = dict(type='HyCTASCell'),
        init_cfg: Any = RELEASE_INIT,
    ) -> None:
        super().__init__([dict(c) for c in init_cfg] if isinstance(init_cfg, tuple) else init_cfg)
        if (arch is None) == (search_space is None):
            raise BadValue(
                f'HyCTASBackbone: give either arch or search_space, got arch={arch!r} and search_space={search_space!r}'
            )
        self.search_space = None if search_space is None else SearchSpace.from_dict(search_space)
        self.alternatives: Any = None
        self.outputs = outputs or ('branches' if self.search_space else 'pyramid')
        if self.outputs not in ('pyramid', 'branches'):
            raise BadValue(f"HyCTASBackbone: outputs={outputs!r}; expected 'pyramid' or 'branches'")
        if self.search_space is None:
            self.base_channels = base_channels
            self._build_fixed(load_arch(arch), norm_cfg)  # type: ignore[arg-type]
        else:
            if norm_cfg['type'] not in ('BN', 'SyncBN'):
                raise BadValue(
                    "HyCTASBackbone: norm_cfg type must be 'BN' or 'SyncBN' in a supernet, whose widths share "
                    f'slimmable batch norm; got {norm_cfg["type"]!r}'
                )
            self.base_channels = self.search_space.base_channels
            self._build_supernet(self.search_space, norm_cfg, cell_cfg)
            self.set_arch(self.search_space.sample(np.random.default_rng(0), self.search_space.max_branches))

    def _build_fixed(self, arch: Architecture, norm_cfg: Mapping[str, Any]) -> None:
        self.arch, self._norm_cfg = arch, norm_cfg
        detail = detail_channels(arch, self.base_channels)
        self.stem = Stem(arch.stem_width, self.base_channels, detail[-1] if arch.detail else None, norm_cfg)
        self.detail = nn.ModuleList(build_op(*args) for args in self._fixed_detail(arch))
        self.cells = nn.ModuleDict({p.name: build_op(*self._fixed_op(p)) for p in arch.cells})
        self.gates = nn.ModuleDict({g.name: GatedFusion(*self._fixed_gate(arch, g)) for g in arch.gates})

    def _fixed_detail(self, arch: Architecture) -> list[tuple[Any, ...]]:
        """The arguments of ``build_op`` for the cells at stride 4 of a fixed network."""
        sizes = itertools.pairwise(detail_channels(arch, self.base_channels))
        return [(cell.op, *size, False, self._norm_cfg) for cell, size in zip(arch.detail, sizes, strict=True)]

    def _fixed_op(self, placed: PlacedCell) -> tuple[Any, ...]:
        """The arguments of ``build_op`` for a cell of a fixed network."""
        return (placed.cell.op, *self._cell_channels(placed), placed.cell.down, self._norm_cfg)

    def _build_supernet(self, space: SearchSpace, norm_cfg: Mapping[str, Any], cell_cfg: Mapping[str, Any]) -> None:
        full = {s: num_channels(s, space.widest(s), space.base_channels) for s in (DETAIL_STRIDE, *STRIDES)}
        fine = max(full[DETAIL_STRIDE], Stem.channels(max(space.stem_widths), space.base_channels)[1])
        self.stem = Stem(
            max(space.stem_widths), space.base_channels, fine if space.detail_layers else None, norm_cfg, slim=True
        )
        options: dict[str, Any] = dict(cell_cfg, norm_cfg=dict(norm_cfg), channels=fine, down_channels=None)
        self.detail = nn.ModuleList(
            MODELS.build(dict(options, ops=space.detail_ops)) for _ in range(space.detail_layers)
        )
        self.layers = nn.ModuleList()
        for layer in range(space.layers):
            cells = {}
            for stride in STRIDES[: 1 + layer]:  # a branch goes down once a layer at most
                goes_down = stride < STRIDES[-1] and layer < space.layers - 1
                options = dict(
                    ops=space.ops, channels=full[stride], down_channels=full[2 * stride] if goes_down else None
                )
                cells[f's{stride}'] = MODELS.build(dict(cell_cfg, norm_cfg=dict(norm_cfg), **options))
            self.layers.append(nn.ModuleDict(cells))
        self.fusions = nn.ModuleList()
        for layer in range(space.layers - 1 if space.nodes else 0):
            strides = STRIDES[: 2 + layer]
            self.fusions.append(
                nn.ModuleDict(
                    {
                        f's{a}_s{b}': GatedFusion(full[a], full[b], _downs(a, b), True, norm_cfg, slim=True)
                        for a, b in itertools.permutations(strides, 2)
                    }
                )
            )

    def _cell_channels(self, placed: PlacedCell) -> tuple[int, int]:
        return (
            num_channels(placed.stride_in, placed.width_in, self.base_channels),
            num_channels(placed.stride_out, placed.cell.width, self.base_channels),
        )

    def _fixed_gate(self, arch: Architecture, gate: Gate) -> tuple[Any, ...]:
        """The arguments of :class:`GatedFusion` for a gate of a fixed network."""
        (source, wide), (target, narrow) = self._gate_ends(arch, gate)
        return wide, narrow, _downs(source, target), gate == _last_of(arch, gate), self._norm_cfg

    def _gate_ends(self, arch: Architecture, gate: Gate) -> tuple[tuple[int, int], tuple[int, int]]:
        """Stride and channels of the map that is added, and of that which it is added to."""
        ends = []
        for branch in (gate.source, gate.target):
            placed = next(p for p in arch.cells if p.layer == gate.layer and p.branches[0] == branch)
            ends.append((placed.stride_out, self._cell_channels(placed)[1]))
        return ends[0], ends[1]

    # The architecture -------------------------------------------------------------------------------------------------

    def set_arch(self, arch: Architecture) -> None:
        """Chooses the network that the supernet computes.

        Raises:
            ValueError: If this is a fixed network, or ``arch`` is not in the search space.
        """
        if self.search_space is None:
            raise BadValue(
                'HyCTASBackbone: a fixed network has one architecture; build it with search_space=... to choose'
            )
        problems = self.search_space.violations(arch)
        if problems:
            raise BadValue(
                f'architecture {arch.archid} is not in the search space of this supernet ({"; ".join(problems)}); use '
                'the supernet it was found with'
            )
        self.arch = arch
        detail = detail_channels(arch, self.base_channels)
        self.stem.activate(arch.stem_width, self.base_channels, detail[-1] if arch.detail else None)

    def active_parts(self) -> Iterator[tuple[str, nn.Module]]:
        """The supernet's modules in use, under the name that each has in the fixed network, activated one at a time."""
        yield 'stem', self.stem
        for number, cell in enumerate(self._detail()):
            yield f'detail.{number}', cell
        for placed in self.arch.cells:
            yield f'cells.{placed.name}', self._op(placed)
        for gate in self.arch.gates:
            yield f'gates.{gate.name}', self._gate(gate)

    def _detail(self) -> Sequence[nn.Module]:
        if self.search_space is None:
            return self.detail
        sizes = itertools.pairwise(detail_channels(self.arch, self.base_channels))
        pairs = zip(self.detail, self.arch.detail, sizes, strict=False)
        return [cells.select(cell, *size, slot=0) for cells, cell, size in pairs]

    def _op(self, placed: PlacedCell) -> Op:
        if self.search_space is None:
            return self.cells[placed.name]
        cell = self.layers[placed.layer][f's{placed.stride_in}']
        # Branches may share a module without sharing the cell; each such use has its own statistics.
        return cell.select(placed.cell, *self._cell_channels(placed), slot=placed.branches[0])

    def _gate(self, gate: Gate) -> GatedFusion:
        if self.search_space is None:
            return self.gates[gate.name]
        (source, wide), (target, narrow) = self._gate_ends(self.arch, gate)
        fusion: GatedFusion = self.fusions[gate.layer][f's{source}_s{target}']
        # Two branches of one stride use the same module; the pair tells their statistics apart.
        fusion.activate(wide, narrow, gate == _last_of(self.arch, gate), slot=(gate.source + gate.target) % MAX_SLOTS)
        return fusion

    def set_drop_path(self, prob: float) -> int:
        """Sets the probability with which an op's path beside its bypass is dropped in training.

        Returns:
            Number of ops that have such a path; all others are never dropped.
        """
        ops = [op for op in self.modules() if isinstance(op, Op) and op.droppable]
        for op in ops:
            op.drop_path.drop_prob = prob
        return len(ops)

    # Outputs ----------------------------------------------------------------------------------------------------------

    def forward(self, x: Tensor) -> BranchFeatures | tuple[Tensor, ...]:
        """Computes the features of images.

        Args:
            x: Images, (B, 3, H, W), any size.

        Returns:
            As chosen by ``outputs``. Maps at stride s have H/s x W/s positions, odd sizes rounded up or down by the
            ops.
        """
        stem4, stem8 = self.stem(x, self._detail())
        op = self._op if self.alternatives is None else partial(_mixed, self)
        return self._outputs(self.arch, BranchFeatures(stem4, stem8, _run_cells(self.arch, stem8, op, self._gate)))

    def compose(self, arch: Architecture, x: Any, block: MakeBlock) -> Any:
        """What :meth:`forward` does for ``arch``, with shapes for maps; see :class:`~hyctas_mm.costs.Blocks`."""
        stem4, stem8 = self._compose_stem(arch, x, block)
        branches = _run_cells(
            arch,
            stem8,
            lambda placed: block(build_op, *self._fixed_op(placed)),
            lambda gate: block(GatedFusion, *self._fixed_gate(arch, gate)),
        )
        return self._outputs(arch, BranchFeatures(stem4, stem8, branches))

    def _compose_stem(self, arch: Architecture, x: Any, block: MakeBlock) -> tuple[Any, Any]:
        if not arch.detail:
            return block(Stem, arch.stem_width, self.base_channels, None, self._norm_cfg)(x)
        channels = detail_channels(arch, self.base_channels)[-1]
        convs = Stem.convs(arch.stem_width, self.base_channels, channels)
        calls = [block(ConvBN, *args, norm_cfg=self._norm_cfg) for args in convs]
        for call in (*calls[:3], *(block(build_op, *args) for args in self._fixed_detail(arch))):
            x = call(x)
        return x, calls[4](calls[3](x))

    def _outputs(self, arch: Architecture, features: BranchFeatures) -> BranchFeatures | tuple[Tensor, ...]:
        if self.outputs == 'branches':
            return features
        return (features.stem4, *(features.branches[b][level] for b, level in _pyramid_sources(arch)))

    @property
    def out_strides(self) -> tuple[int, ...]:
        return (4, *(STRIDES[level] for _, level in _pyramid_sources(self.arch)))

    @property
    def out_channels(self) -> tuple[int, ...]:
        stem4 = detail_channels(self.arch, self.base_channels)[-1]
        widths = [(STRIDES[level], self.arch.feature_widths(b)[level]) for b, level in _pyramid_sources(self.arch)]
        return (stem4, *(num_channels(stride, width, self.base_channels) for stride, width in widths))


def _mixed(net: HyCTASBackbone, placed: PlacedCell) -> Callable[[Tensor], Tensor]:
    channels = partial(num_channels, placed.stride_out, base_channels=net.base_channels)
    return lambda x: net.alternatives.mix(placed, lambda cell: net._op(replace(placed, cell=cell))(x), channels)


def _run_cells(
    arch: Architecture,
    stem8: T,
    op: Callable[[PlacedCell], Callable[[T], T]],
    fusion: Callable[[Gate], Callable[[T, T], T]],
) -> tuple[tuple[T, ...], ...]:
    """Passes the stem's map, or its shape, through cells and gates; returns each branch's last map at stride 8, 16,
    ...
    """
    maps = [[stem8] for _ in arch.branches]
    for layer, cells in itertools.groupby(arch.cells, key=lambda placed: placed.layer):
        members = {}
        for placed in cells:
            members[placed.branches[0]] = placed.branches
            y = op(placed)(maps[placed.branches[0]][-1])
            for branch in placed.branches:
                if placed.cell.down:
                    maps[branch].append(y)
                else:
                    maps[branch][-1] = y
        before = [branch[-1] for branch in maps]  # gates read the maps of the cells, not of one another
        for gate in arch.gates:
            if gate.layer == layer:
                y = fusion(gate)(before[gate.source], maps[gate.target][-1])
                for branch in members[gate.target]:
                    maps[branch][-1] = y
    return tuple(map(tuple, maps))


def _downs(source: int, target: int) -> int:
    """How often a stride must be doubled to become another; negative where it must be halved."""
    return target.bit_length() - source.bit_length()


def _last_of(arch: Architecture, gate: Gate) -> Gate:
    """The last of the gates to the same map, which is followed by ReLU."""
    return [g for g in arch.gates if (g.layer, g.target) == (gate.layer, gate.target)][-1]


def _pyramid_sources(arch: Architecture) -> list[tuple[int, int]]:
    """For stride 8, 16, ...: (branch, index of its map): the branch that ends there, else the one closest below."""
    ends = arch.output_strides
    strides = [s for s in STRIDES if s <= ends[-1]]
    return [(next(b for b, end in enumerate(ends) if end >= s), level) for level, s in enumerate(strides)]
