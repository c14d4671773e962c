"""Dense fusion of a pyramid: which levels are added to which is learned, then pruned."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from hyctas_mm.errors import BadValue
from hyctas_mm.models.nodes import Connection
from hyctas_mm.registry import MODELS

EPSILON = 1e-6
"""What keeps the logarithm of the gates' mean finite where all of them are open or closed."""


@MODELS.register_module()
class DenseFusionNeck(BaseModule):
    """Each output level is the sum, by learned gates, of maps of all levels, and ReLU::

        y_j = relu( sum_i g_ij * connection_ij(x_i) ),    g_ij = sigmoid(gate_logits)

    A connection is that of our nodes (:class:`~hyctas_mm.models.nodes.Connection`). While it trains,
    :class:`~hyctas_mm.engine.hooks.GateSparsityHook` adds :meth:`sparsity_loss`; :meth:`prune` then removes the
    connections whose gates are small. A pruned neck has the others in ``connections``, ``gated=False``, and no gates.

    The ideas are LGCNet's dense fusion cell and AutoRTNet's aggregation cell, of which we found no code and know no
    details, and SparseMask's sparse connections. Form of the connections, one layer of them, sigmoid and pruning are
    ours.

    Args:
        in_channels: Channels of the levels.
        strides: Their strides, e.g. ``[4, 8, 16, 32]``, or ``[4, 8, 8, 8]`` of a dilated network.
        out_channels: Channels of each output.
        out_levels: Which levels are outputs, each with the stride and size of its input; by default all.
        connections: Pairs (source level, output level); by default all.
        gated: Whether they have gates.
        norm_cfg: mmcv's norm config.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: For strides that are no powers of two apart, or connections that are twice, of no such level, or
            leave an output without any.

    Example:
        >>> neck = dict(type='DenseFusionNeck', in_channels=[256, 512, 1024, 2048], strides=[4, 8, 16, 32],
        ...             out_channels=256)
        >>> custom_hooks = [dict(type='GateSparsityHook')]
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        strides: Sequence[int],
        out_channels: int,
        out_levels: Sequence[int] | None = None,
        connections: Sequence[Sequence[int]] | None = None,
        gated: bool = True,
        norm_cfg: Mapping[str, Any] = dict(type='BN'),
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        if len(in_channels) != len(strides):
            raise BadValue(
                f'DenseFusionNeck: in_channels={list(in_channels)} and strides={list(strides)}; expected one '
                'stride for each level of the backbone'
            )
        levels = range(len(strides))
        self.in_channels = tuple(in_channels)
        self.out_levels = tuple(levels if out_levels is None else out_levels)
        if connections is None:
            connections = [(source, target) for source in levels for target in self.out_levels]
        self.connections = _checked(connections, levels, self.out_levels)
        self.paths = nn.ModuleDict()
        for source, target in self.connections:
            downs = _downs(strides[source], strides[target])
            self.paths[_name((source, target))] = Connection(in_channels[source], out_channels, downs, norm_cfg)
        self.gate_logits = nn.Parameter(torch.zeros(len(self.connections))) if gated else None

    def gates(self) -> Tensor:
        """The gate of each of ``connections``, from 0 to 1; ones where the neck has none."""
        return torch.ones(len(self.connections)) if self.gate_logits is None else self.gate_logits.sigmoid()

    def sparsity_loss(self, density: float | None = None) -> Tensor:
        """What pushes gates to 0 or 1, and their mean to a density::

            sum over outputs j of  mean_i H(g_ij) - ( rho * log(m_j) + (1 - rho) * log(1 - m_j) )

        with ``H(g) = -g log g - (1 - g) log(1 - g)``, ``m_j`` the mean of the gates into j, and ``rho`` the density. It
        is SparseMask's, which sums over the stages of its decoder and has ``w / 2`` for g, with weights w clamped to
        [0, 2] and noise on them; g as a sigmoid, without noise, is ours.

        Args:
            density: ``rho``; by default SparseMask's, two gates of those into an output, at most half of them.

        Returns:
            A scalar.
        """
        if self.gate_logits is None:
            raise BadValue('DenseFusionNeck: it has no gates (gated=False), so there is no sparsity loss')

        def of_output(logits: Tensor) -> Tensor:
            rho = min(2 / len(logits), 0.5) if density is None else density
            gates = logits.sigmoid()
            entropy = (F.softplus(logits) - logits * gates).mean()  # of the logits: no log(0) where a gate is shut
            mean = gates.mean().clamp(EPSILON, 1 - EPSILON)
            return entropy - (rho * mean.log() + (1 - rho) * (1 - mean).log())

        sizes = list(Counter(target for _, target in self.connections).values())  # they are sorted by output
        return torch.stack([of_output(logits) for logits in self.gate_logits.float().split(sizes)]).sum()

    @torch.no_grad()
    def prune(self, threshold: float = 0.1) -> tuple[tuple[int, int], ...]:
        """Removes connections whose gate is below a threshold, and multiplies the other gates into the last batch norm
        of their connections; the neck then computes what it did with the removed gates at 0.

        The widest gate into each output stays in any case, as a head reads every output.

        Args:
            threshold: From 0 to 1.

        Returns:
            The connections that stay.

        Raises:
            ValueError: If it has no gates, for another threshold, or for norm layers without scale and shift.
        """
        if self.gate_logits is None:
            raise BadValue('DenseFusionNeck: it has no gates (gated=False) to prune by; was it pruned already?')
        if not 0 <= threshold <= 1:
            raise BadValue(f'DenseFusionNeck: threshold={threshold!r}; expected a number from 0 to 1, e.g. 0.1')
        gates = dict(zip(self.connections, self.gates(), strict=True))
        widest = {max((c for c in gates if c[1] == level), key=lambda c: float(gates[c])) for level in self.out_levels}
        kept = tuple(c for c in self.connections if c in widest or float(gates[c]) >= threshold)
        norms: list[Any] = [self._path(connection).mix.bn for connection in kept]
        if any(norm.weight is None or norm.bias is None for norm in norms):
            raise BadValue(f'DenseFusionNeck: {type(norms[0]).__name__} has no scale and shift to take the gates')
        for connection, norm in zip(kept, norms, strict=True):
            norm.weight.mul_(gates[connection])
            norm.bias.mul_(gates[connection])
        self.paths = nn.ModuleDict({_name(connection): self._path(connection) for connection in kept})
        self.connections, self.gate_logits = kept, None
        return kept

    def _path(self, connection: tuple[int, int]) -> Connection:
        path: Connection = self.paths[_name(connection)]
        return path

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Maps of all levels, (B, in_channels[i], H_i, W_i), to those of the outputs, (B, out_channels, H_j, W_j)."""
        if len(inputs) != len(self.in_channels):
            raise BadValue(
                f'DenseFusionNeck: got {len(inputs)} maps, expected {len(self.in_channels)}; give in_channels and '
                "strides of all maps that the backbone returns, or set the backbone's out_indices"
            )
        gates = None if self.gate_logits is None else self.gates()
        sums: dict[int, Tensor] = {}
        for number, (source, target) in enumerate(self.connections):
            brought = self._path((source, target))(inputs[source], inputs[target])
            if gates is not None:
                brought = gates[number] * brought
            sums[target] = sums[target] + brought if target in sums else brought
        return tuple(F.relu(sums[level]) for level in self.out_levels)


def _name(connection: tuple[int, int]) -> str:
    return '{}_{}'.format(*connection)


def _downs(source: int, target: int) -> int:
    """How often the one stride must be doubled to be the other."""
    downs = math.log2(target / source) if source > 0 and target > 0 else 0.5
    if not downs.is_integer():
        raise BadValue(f'DenseFusionNeck: strides {source} and {target}; expected strides that are powers of two apart')
    return int(downs)


def _checked(
    connections: Sequence[Sequence[int]], levels: Sequence[int], out_levels: Sequence[int]
) -> tuple[tuple[int, int], ...]:
    """The connections in the order of their outputs, refused where they make no sense."""
    pairs = [(int(source), int(target)) for source, target in connections]
    wrong = [p for p in pairs if p[0] not in levels or p[1] not in levels or pairs.count(p) > 1]
    if wrong:
        raise BadValue(
            f'DenseFusionNeck: connections {wrong}; expected pairs (level, output level), each once, of the levels '
            f'{list(levels)}'
        )
    if {target for _, target in pairs} != set(out_levels):
        raise BadValue(
            f'DenseFusionNeck: connections to the levels {sorted({target for _, target in pairs})}, but '
            f'out_levels={list(out_levels)}; expected one or more to each of them, and none to others'
        )
    return tuple(sorted(pairs, key=lambda pair: (pair[1], pair[0])))
