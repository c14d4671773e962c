"""Distortions of an architecture that show whether its attention and its gates are where they belong (paper section
4.5, Table 8).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from hyctas_mm.archs.architecture import Architecture
from hyctas_mm.archs.ops import SKIP
from hyctas_mm.archs.parts import PlacedCell
from hyctas_mm.archs.search_space import SearchSpace

ATTENTION, CONV = 'attention', 'conv'


@dataclass(frozen=True)
class Variant:
    """One row of Table 8.

    Attributes:
        name: What was done.
        arch: The distorted architecture; None if it cannot be done to this one.
        note: Why it cannot, or what to know of the result; '' if nothing.
    """

    name: str
    arch: Architecture | None
    note: str = ''


def perturbations(arch: Architecture, rng: np.random.Generator, space: SearchSpace | None = None) -> list[Variant]:
    """The four distortions of Table 8, in which only ops change their places, and two of the gates between branches.

    Args:
        arch: The architecture.
        rng: Draws where attention goes.
        space: Where the variants should stay; a variant outside of it says why in its note.
    """
    made = [
        attention_to_conv(arch, space),
        conv_to_attention(arch),
        shift_attention_position(arch, rng),
        shift_attention_branch(arch, rng),
    ]
    if space is None or space.nodes:
        made += [close_a_gate(arch, rng), open_a_gate(arch, rng)]
    return [_with_membership(variant, space) for variant in made]


def attention_to_conv(arch: Architecture, space: SearchSpace | None = None) -> Variant:
    """Every attention replaced by a convolution: ``conv``, or in a space without it the first other op that
    computes.
    """
    name = 'SA -> conv'
    conv = CONV
    if space is not None and CONV not in space.ops:
        conv = next((op for op in space.ops if op not in (SKIP, ATTENTION)), '')
    if not conv:
        return Variant(name, None, 'the search space has no op but attention')
    replaced = {p.name: conv for p in arch.cells if p.cell.op == ATTENTION}
    return Variant(name, with_ops(arch, replaced)) if replaced else Variant(name, None, 'it has no attention')


def conv_to_attention(arch: Architecture) -> Variant:
    """Every convolution, of whatever kind, replaced by attention."""
    name = 'conv -> SA'
    replaced = {p.name: ATTENTION for p in arch.cells if p.cell.op != ATTENTION}
    return Variant(name, with_ops(arch, replaced)) if replaced else Variant(name, None, 'it has no convolution')


def shift_attention_position(arch: Architecture, rng: np.random.Generator) -> Variant:
    """Each attention changes places with a random other op of its branch at the same stride."""
    return _shift(
        arch,
        'shift SA position',
        lambda cell, other: bool(set(cell.branches) & set(other.branches)),
        rng,
        'position in its branch',
    )


def shift_attention_branch(arch: Architecture, rng: np.random.Generator) -> Variant:
    """Each attention changes places with a random op of another branch at the same stride."""
    if len(arch.branches) == 1:
        return Variant('shift SA branch', None, 'it has one branch only')
    return _shift(
        arch, 'shift SA branch', lambda cell, other: not set(cell.branches) & set(other.branches), rng, 'branch'
    )


def close_a_gate(arch: Architecture, rng: np.random.Generator) -> Variant:
    """One of the open gates closed."""
    if not arch.gates:
        return Variant('close a gate', None, 'it has no open gate')
    closed = arch.gates[rng.integers(len(arch.gates))]
    return Variant(
        'close a gate', replace(arch, gates=tuple(g for g in arch.gates if g != closed)), f'gate {closed.name}'
    )


def open_a_gate(arch: Architecture, rng: np.random.Generator) -> Variant:
    """One of the closed gates opened."""
    free = [g for g in arch.possible_gates if g not in arch.gates]
    if not free:
        return Variant('open a gate', None, 'it has no closed gate')
    opened = free[rng.integers(len(free))]
    return Variant('open a gate', replace(arch, gates=(*arch.gates, opened)), f'gate {opened.name}')


def with_ops(arch: Architecture, ops: Mapping[str, str]) -> Architecture:
    """The architecture with other ops in some cells, by :attr:`PlacedCell.name`."""
    return arch.with_cells({p.name: replace(p.cell, op=ops[p.name]) for p in arch.cells if p.name in ops})


def _shift(
    arch: Architecture, name: str, near: Callable[[PlacedCell, PlacedCell], bool], rng: np.random.Generator, what: str
) -> Variant:
    """Attention and a random free cell near it change their ops, for as many attentions as there are free cells."""
    attentions = [p for p in arch.cells if p.cell.op == ATTENTION]
    if not attentions:
        return Variant(name, None, 'it has no attention')
    ops: dict[str, str] = {}
    for index in rng.permutation(len(attentions)):
        cell = attentions[index]
        free = [
            p
            for p in arch.cells
            if p.cell.op != ATTENTION and p.name not in ops and p.stride_in == cell.stride_in and near(cell, p)
        ]
        if free:
            other = free[rng.integers(len(free))]
            ops |= {cell.name: other.cell.op, other.name: ATTENTION}
    moved = len(ops) // 2
    if not moved:
        return Variant(name, None, f'no attention has another {what} at the same stride')
    note = (
        f'{moved} of {len(attentions)} attentions moved; the others have no free {what} at their stride'
        if moved < len(attentions)
        else ''
    )
    return Variant(name, with_ops(arch, ops), note)


def _with_membership(variant: Variant, space: SearchSpace | None) -> Variant:
    problems = space.violations(variant.arch) if space is not None and variant.arch is not None else []
    return replace(variant, note='; '.join(_notes(variant, problems)))


def _notes(variant: Variant, problems: list[str]) -> Iterator[str]:
    if variant.note:
        yield variant.note
    if problems:
        yield f'not in the search space: {problems[0]}' + (
            f' and {len(problems) - 1} more' if len(problems) > 1 else ''
        )
