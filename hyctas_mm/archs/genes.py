"""One branch as a block of genes: ``[fork, first down, second down, op 0, width 0, op 1, width 1, ...]``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hyctas_mm.archs.ops import SKIP
from hyctas_mm.archs.parts import Branch, Cell

if TYPE_CHECKING:
    from hyctas_mm.archs.search_space import SearchSpace

HEADER = 3
"""Genes of a block before its layers."""


def decode_branch(space: SearchSpace, block: list[int], num_downs: int, before: list[Branch]) -> Branch:
    """One branch: its own chain, its places to go down, and the prefix it shares with the branch before it."""
    taken = {n for b in before for n, c in enumerate(b) if c.down}
    chain = _decode_chain(space, block, num_downs, taken)
    free = [n for n in range(len(chain) - 1) if n not in taken]

    fork = 0
    if before:
        fork = min(block[0], len(chain) - 1, _unshared_from(before[-1]), free[-num_downs] if num_downs else len(chain))
        chain[:fork] = [(c.op, c.width) for c in before[-1][:fork]]

    free = [n for n in free if n >= fork]
    downs = []
    for gene in block[1 : 1 + num_downs]:
        downs.append(free.pop(gene * len(free) // space.layers))
    return tuple([Cell(op, width, n in downs) for n, (op, width) in enumerate(chain)])


def _decode_chain(space: SearchSpace, block: list[int], num_downs: int, taken: set[int]) -> list[tuple[str, int]]:
    """The cells that compute, as (op, width); skips become cells again where the branch would be too short to go
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
            chain.append((op, space.widths[width_gene]))
    return chain


def encode_branch(space: SearchSpace, branch: Branch, fork: int, taken: set[int]) -> list[int]:
    """Genes that decode to the branch."""
    block = [fork, 0, 0]
    free = [n for n in range(fork, len(branch) - 1) if n not in taken]
    for slot, place in enumerate(n for n, c in enumerate(branch) if c.down):
        index = free.index(place)
        block[1 + slot] = -(-index * space.layers // len(free))  # the smallest gene that decodes to this place
        free.remove(place)
    for cell in branch[:-1]:
        block += [space.ops.index(cell.op), space.widths.index(cell.width)]
    block += [space.ops.index(branch[-1].op), 0]  # the last width is the head's
    skip = space.ops.index(SKIP) if SKIP in space.ops else 0
    return block + [skip, 0] * (space.layers - len(branch))


def _unshared_from(branch: Branch) -> int:
    """How many leading cells of a branch another may share: neither a cell that goes down nor the last one."""
    return next((n for n, c in enumerate(branch) if c.down), len(branch) - 1)
