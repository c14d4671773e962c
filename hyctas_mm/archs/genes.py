"""Architectures as vectors of whole numbers, and back.

First the settings ``[ends, stem width, head width, low level, head attention]``, then one block for each branch
``[fork, first down, second down, op 0, width 0, op 1, width 1, ...]``, then where they are searched the head's depth
and the cells at stride 4, ``[op 0, width 0, ...]``, then one gene for each layer but the last and each ordered pair of
branches, 1 for an open gate. Genes that a network does not use are ignored (and 0 in :func:`encode`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hyctas_mm.archs.architecture import Architecture
from hyctas_mm.archs.ops import SKIP
from hyctas_mm.archs.parts import DETAIL_STRIDE, STEM_STRIDE, Branch, Cell, Gate

if TYPE_CHECKING:
    from hyctas_mm.archs.search_space import SearchSpace

Genes = npt.NDArray[np.int64]

SETTINGS = 5
"""Genes before the blocks."""

HEADER = 3
"""Genes of a block before its layers."""


@dataclass(frozen=True)
class GeneLayout:
    """Where each gene of a space stands; every view can be written to.

    Args:
        space: The search space.
        num_branches: Of the networks; None for a layout of any number of branches.
    """

    space: SearchSpace
    num_branches: int | None

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return self.num_branches or self.space.max_branches

    def upper(self) -> list[int]:
        """The largest value of each gene; the smallest is 0."""
        space, layers = self.space, self.space.layers
        choices: list[Any] = [space.end_combinations(self.num_branches), space.stem_widths, space.head_widths]
        choices += [space.low_levels, space.head_attentions]
        upper = [len(c) - 1 for c in choices]
        for index in range(self.blocks):
            upper += [layers - 1 if index else 0, layers - 1, layers - 1]
            upper += [len(space.ops) - 1, len(space.widths_at(STEM_STRIDE)) - 1] * layers
        upper += [len(space.head_depths) - 1] * (len(space.head_depths) > 1)
        upper += [len(space.detail_ops) - 1, len(space.widths_at(DETAIL_STRIDE)) - 1] * space.detail_layers
        return upper + [1] * self._num_gates

    def zeros(self) -> Genes:
        """A vector of the layout."""
        return np.zeros(len(self.upper()), dtype=np.int64)

    def block(self, genes: Genes, branch: int) -> Genes:
        """One branch's."""
        size = HEADER + 2 * self.space.layers
        return genes[SETTINGS + branch * size : SETTINGS + (branch + 1) * size]

    def op_gene(self, branch: int, layer: int) -> int:
        """Index of the gene of an op; that of its width is the next one."""
        return SETTINGS + branch * (HEADER + 2 * self.space.layers) + HEADER + 2 * layer

    def depth(self, genes: Genes) -> Genes:
        """The head's depth, (1,), or (0,) where it is not searched."""
        start = SETTINGS + self.blocks * (HEADER + 2 * self.space.layers)
        return genes[start : start + (len(self.space.head_depths) > 1)]

    def detail(self, genes: Genes) -> Genes:
        """The cells at stride 4, (2 * detail_layers,)."""
        stop = len(genes) - self._num_gates
        return genes[stop - 2 * self.space.detail_layers : stop]

    def gates(self, genes: Genes) -> Genes:
        """The gates, (layers - 1, blocks, blocks): after a layer, from a branch, to a branch."""
        return genes[len(genes) - self._num_gates :].reshape(-1, self.blocks, self.blocks)

    @property
    def _num_gates(self) -> int:
        return (self.space.layers - 1) * self.blocks**2 if self.space.nodes else 0


def decode(layout: GeneLayout, genes: Genes) -> Architecture:
    """The architecture of a vector within the bounds; never fails for one."""
    space = layout.space
    ends, stem, head, low_level, attention = genes[:SETTINGS].tolist()
    branches: list[Branch] = []
    for index, end in enumerate(space.end_combinations(layout.num_branches)[ends]):
        block: list[int] = layout.block(genes, index).tolist()
        branches.append(_decode_branch(space, block, end.bit_length() - STEM_STRIDE.bit_length(), branches))
    arch = Architecture(
        tuple(branches),
        space.stem_widths[stem],
        space.head_widths[head],
        space.low_levels[low_level],
        space.head_attentions[attention],
        detail=_decode_detail(space, layout.detail(genes).tolist()),
        head_depth=space.head_depths[layout.depth(genes).sum()],
    )
    return arch.with_gates(Gate(*where) for where in np.argwhere(layout.gates(genes)).tolist()) if space.nodes else arch


def encode(layout: GeneLayout, arch: Architecture) -> Genes:
    """Genes that decode to a member of the space."""
    space, genes = layout.space, layout.zeros()
    genes[:SETTINGS] = (
        space.end_combinations(layout.num_branches).index(arch.output_strides),
        space.stem_widths.index(arch.stem_width),
        space.head_widths.index(arch.head_width),
        space.low_levels.index(arch.low_level),
        space.head_attentions.index(arch.head_attention),
    )
    taken: set[int] = set()
    for index, branch in enumerate(arch.branches):
        fork = arch.shared_prefix(index, index - 1) if index else 0
        layout.block(genes, index)[:] = _encode_branch(space, branch, fork, taken)
        taken |= {n for n, c in enumerate(branch) if c.down}
    layout.depth(genes)[:] = space.head_depths.index(arch.head_depth)
    layout.detail(genes)[:] = _encode_detail(space, arch.detail)
    for gate in arch.gates:
        layout.gates(genes)[gate.layer, gate.source, gate.target] = 1
    return genes


def _decode_branch(space: SearchSpace, block: list[int], num_downs: int, before: list[Branch]) -> Branch:
    """One branch: its own chain, its places to go down, and the prefix it shares with the branch before it."""
    taken = {n for b in before for n, c in enumerate(b) if c.down}
    chain = _decode_chain(space, block, num_downs, taken)
    free = [n for n in range(len(chain) - 1) if n not in taken]

    fork = 0
    if before:
        fork = min(block[0], len(chain) - 1, _unshared_from(before[-1]), free[-num_downs] if num_downs else len(chain))

    free = [n for n in free if n >= fork]
    downs = []
    for gene in block[1 : 1 + num_downs]:
        downs.append(free.pop(gene * len(free) // space.layers))
    cells, stride = list(before[-1][:fork]) if before else [], STEM_STRIDE
    for n, (op, width) in enumerate(chain[fork:], fork):
        stride <<= n in downs
        cells.append(Cell(op, width_of(space, width, stride), n in downs))
    return tuple(cells)


def _decode_chain(space: SearchSpace, block: list[int], num_downs: int, taken: set[int]) -> list[tuple[str, int]]:
    """The cells that compute, as (op, width gene); skips become cells again where the branch would be too short to go
    down.
    """
    genes = list(zip(block[HEADER::2], block[HEADER + 1 :: 2], strict=True))
    needed = num_downs + 1  # the last cell does not go down
    while sum(n not in taken for n in range(needed - 1)) < num_downs:
        needed += 1
    spare = needed - sum(space.ops[op] != SKIP for op, _ in genes)
    chain = []
    for op_gene, width_gene in genes:
        op = space.ops[op_gene]
        if op == SKIP and spare > 0:
            spare -= 1
            op = space.computing[0]
        if op != SKIP:
            chain.append((op, width_gene))
    return chain


def _encode_branch(space: SearchSpace, branch: Branch, fork: int, taken: set[int]) -> list[int]:
    """Genes that decode to the branch."""
    block = [fork, 0, 0]
    free = [n for n in range(fork, len(branch) - 1) if n not in taken]
    for slot, place in enumerate(n for n, c in enumerate(branch) if c.down):
        index = free.index(place)
        block[1 + slot] = -(-index * space.layers // len(free))  # the smallest gene that decodes to this place
        free.remove(place)
    stride = STEM_STRIDE
    for cell in branch[:-1]:
        stride <<= cell.down
        block += [space.ops.index(cell.op), _width_gene(space, cell.width, stride)]
    block += [space.ops.index(branch[-1].op), 0]  # the last width is the head's
    skip = space.ops.index(SKIP) if SKIP in space.ops else 0
    return block + [skip, 0] * (space.layers - len(branch))


def _decode_detail(space: SearchSpace, block: list[int]) -> Branch:
    """The cells at stride 4."""
    pairs = [(space.detail_ops[op], width) for op, width in zip(block[::2], block[1::2], strict=True)]
    return tuple([Cell(op, width_of(space, width, DETAIL_STRIDE)) for op, width in pairs if op != SKIP])


def _encode_detail(space: SearchSpace, detail: Branch) -> list[int]:
    """Genes that decode to the cells at stride 4."""
    block = []
    for cell in detail:
        block += [space.detail_ops.index(cell.op), _width_gene(space, cell.width, DETAIL_STRIDE)]
    skip = space.detail_ops.index(SKIP) if SKIP in space.detail_ops else 0
    return block + [skip, 0] * (space.detail_layers - len(detail))


def _unshared_from(branch: Branch) -> int:
    """How many leading cells of a branch another may share: neither a cell that goes down nor the last one."""
    return next((n for n, c in enumerate(branch) if c.down), len(branch) - 1)


def width_of(space: SearchSpace, gene: int, stride: int) -> int:
    """The width of a cell that writes a map of this stride; those of coarse strides spread over all the values."""
    widths = space.widths_at(stride)
    return widths[gene * len(widths) // len(space.widths_at(STEM_STRIDE))]


def _width_gene(space: SearchSpace, width: int, stride: int) -> int:
    """The smallest gene that decodes to a width."""
    widths = space.widths_at(stride)
    return -(-widths.index(width) * len(space.widths_at(STEM_STRIDE)) // len(widths))
