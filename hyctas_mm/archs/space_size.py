"""How many architectures a space has, exactly: layer by layer over what can happen to each branch."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache

from hyctas_mm.archs.parts import STEM_STRIDE

_Branch = tuple[int, int]  # times that it has still to go down, group of branches that shared all cells so far
_State = tuple[_Branch | None, ...]  # None for a branch that has ended
_GO_ON, _GO_DOWN, _END = range(3)


@cache
def count_branches(
    ends: tuple[int, ...], layers: int, any_depth: bool, num_ops: int, num_widths: tuple[int, int], nodes: bool
) -> int:
    """Number of different sets of branches, with their gates.

    Args:
        ends: Stride at which each branch ends, ascending.
        layers: Most cells of a branch.
        any_depth: Whether a branch may have fewer.
        num_ops: Number of ops that compute.
        num_widths: Number of widths at stride 8, and at coarser ones. That of a branch's last cell is the head's.
        nodes: Whether there are gates.
    """
    start: _State = tuple(((end // STEM_STRIDE).bit_length() - 1, 0) for end in ends)
    counts = {start: 1}
    total = 0
    for layer in range(layers):
        after: dict[_State, int] = defaultdict(int)
        for state, ways in counts.items():
            for next_state, more in _steps(state, ends, num_ops, num_widths):
                if all(branch is None for branch in next_state):
                    total += ways * more if any_depth or layer == layers - 1 else 0
                elif any_depth or None not in next_state:
                    after[next_state] += ways * more * (2 ** _num_gates(next_state, ends) if nodes else 1)
        counts = after
    return total


def _steps(
    state: _State, ends: Sequence[int], num_ops: int, num_widths: tuple[int, int]
) -> Iterator[tuple[_State, int]]:
    """What may come after one more layer, and in how many ways."""
    alive = [index for index, branch in enumerate(state) if branch is not None]
    for choice in itertools.product((_GO_ON, _GO_DOWN, _END), repeat=len(alive)):
        if choice.count(_GO_DOWN) > 1:
            continue  # branches go down at different places
        moves = dict(zip(alive, choice, strict=True))
        after: list[_Branch | None] = list(state)
        groups: dict[int, list[int]] = defaultdict(list)
        ways = 1
        for index, move in moves.items():
            downs, group = state[index]  # type: ignore[misc]
            if move == _END:
                if downs:
                    break
                after[index] = None
                ways *= num_ops
            elif move == _GO_DOWN:
                if not downs:
                    break
                after[index] = (downs - 1, index)
                ways *= num_ops * num_widths[1]
            else:
                groups[group].append(index)
        else:
            choices = [
                num_ops * num_widths[ends[members[0]] >> state[members[0]][0] > STEM_STRIDE]  # type: ignore[index]
                for members in groups.values()
            ]
            for parts in itertools.product(*map(_partitions, groups.values())):
                there = list(after)
                for group in itertools.chain.from_iterable(parts):
                    for index in group:
                        there[index] = (state[index][0], group[0])  # type: ignore[index]
                cells = math.prod(math.perm(num, len(part)) for num, part in zip(choices, parts, strict=True))
                yield tuple(there), ways * cells


def _partitions(items: Sequence[int]) -> Iterator[list[list[int]]]:
    """Every way to deal items into groups, each group in the order of the items."""
    if not items:
        yield []
        return
    first, *rest = items
    for smaller in _partitions(rest):
        yield [[first], *smaller]
        for n, group in enumerate(smaller):
            yield [*smaller[:n], [first, *group], *smaller[n + 1 :]]


def _num_gates(state: _State, ends: Sequence[int]) -> int:
    """Possible gates after a layer: ordered pairs of cells that write maps of different strides."""
    strides = {branch[1]: end >> branch[0] for branch, end in zip(state, ends, strict=True) if branch is not None}
    return sum(a != b for a, b in itertools.permutations(strides.values(), 2))
