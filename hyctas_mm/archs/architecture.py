"""What a network is: branches of cells between a stem and a head.

Plain data without torch. An :class:`Architecture` is always in canonical form, so equal networks are equal objects with equal ids.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hyctas_mm.archs.layout import HEAD, STEM, LaidCell, Layout, Link, arrange
from hyctas_mm.archs.ops import SKIP, known_ops
from hyctas_mm.errors import BadValue

FORMAT = 'hyctas_mm/arch-1'
STEM_STRIDE = 8
MAX_DOWNS = 2
STRIDES = tuple(STEM_STRIDE << downs for downs in range(MAX_DOWNS + 1))
"""Strides of the maps between stem and head, from fine to coarse: 8, 16, 32."""

FULL_WIDTH = 12
LOW_LEVELS = ('none', 's4', 's4s8')
"""Low-level fusion of the head: nothing, the stem's stride-4 map, its stride-4 and stride-8 maps (the release's model types 0, 1, 2)."""


class ArchitectureError(BadValue):
    """An architecture that cannot be. ``problems`` lists each reason, one sentence each."""

    def __init__(self, problems: Sequence[str], source: str = 'architecture') -> None:
        self.problems = list(problems)
        super().__init__(f'{source}: ' + '; '.join(self.problems))


@dataclass(frozen=True, slots=True)
class Cell:
    """One searched cell.

    Attributes:
        op: Name of the candidate op.
        width: Output width in twelfths of the full width at its output stride, 1..12.
        down: Whether the cell halves the resolution.
    """

    op: str
    width: int
    down: bool = False


Branch = tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class PlacedCell:
    """A cell at its place in the network, evaluated once for all the branches that share it.

    Attributes:
        layer: Depth in its branches, from 0.
        branches: Indices of the branches that share the cell, ascending.
        cell: Op, output width and down flag.
        stride_in: Stride of the map the cell reads (8, 16 or 32).
        width_in: Width of that map in twelfths.
    """

    layer: int
    branches: tuple[int, ...]
    cell: Cell
    stride_in: int
    width_in: int

    @property
    def stride_out(self) -> int:
        return self.stride_in * (2 if self.cell.down else 1)

    @property
    def name(self) -> str:
        """``'<layer>_<first branch>'``, unique in a network; the cell's parameter prefix."""
        return f'{self.layer}_{self.branches[0]}'


def num_channels(stride: int, width: int, base_channels: int) -> int:
    """Channels of a map: ``stride * base_channels * width / 12``, rounded half to even, at least 1.

    The paper's filter multiplier (section 4.2) is ``base_channels``; a full-width map at stride 8 has ``8 * base_channels`` channels.
    """
    return max(1, round(stride * base_channels * width / FULL_WIDTH))


@dataclass(frozen=True)
class Architecture:
    """A network: branches, and the widths and variants of stem and head.

    The constructor brings the network into canonical form: skips at equal stride vanish (they are the identity), the last cell of each
    branch takes the head's width, branches are ordered by their final stride. Branches share the cells of an equal prefix, except that
    the last cell of a branch is its own (the release's rule).

    Args:
        branches: Chains of cells. Each starts at stride 8, goes down at most twice and not in its last cell; at most one branch ends
            at each of the strides 8, 16, 32; two different cells of one layer do not both go down.
        stem_width: Width of the stem in twelfths.
        head_width: Width of the aggregation in twelfths, and so of the last cell of each branch.
        low_level: ``'none'``, ``'s4'`` or ``'s4s8'``.
        head_attention: Whether the head has its attention block.

    Raises:
        ArchitectureError: Naming everything that is wrong.

    Example:
        >>> arch = Architecture(((Cell('lite_conv', 8), Cell('conv', 6, down=True), Cell('attention', 12)),))
        >>> arch.output_strides
        (16,)
    """

    branches: tuple[Branch, ...]
    stem_width: int = FULL_WIDTH
    head_width: int = FULL_WIDTH
    low_level: str = 'none'
    head_attention: bool = True

    def __post_init__(self) -> None:
        problems = [*_setting_problems(self), *(p for i, b in enumerate(self.branches) for p in _branch_problems(b, i))]
        if not self.branches:
            problems.append('it has no branch; at least one is needed')
        if problems:
            raise ArchitectureError(problems)
        branches = tuple(sorted((_canonical(b, self.head_width) for b in self.branches), key=_num_downs))
        object.__setattr__(self, 'branches', branches)
        problems = [*_length_problems(branches), *_pair_problems(self)]
        if problems:
            raise ArchitectureError(problems)

    # Derived facts ------------------------------------------------------------------------------------------------------------

    @property
    def output_strides(self) -> tuple[int, ...]:
        """Final stride of each branch, ascending: the output combination the head is chosen by."""
        return tuple(STEM_STRIDE << _num_downs(b) for b in self.branches)

    @cached_property
    def archid(self) -> str:
        """First 12 hex digits of the SHA-1 of the sorted JSON."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(',', ':'))
        return hashlib.sha1(text.encode()).hexdigest()[:12]

    def shared_prefix(self, i: int, j: int) -> int:
        """Number of leading cells that branches ``i`` and ``j`` share."""
        a, b = self.branches[i], self.branches[j]
        limit = min(len(a), len(b)) - 1  # the last cell of a branch is never shared
        return next((n for n in range(limit) if a[n] != b[n]), limit)

    def feature_widths(self, index: int) -> tuple[int, ...]:
        """Widths (twelfths) of the last map that a branch has at stride 8, 16, ... up to its final stride: what the head reads."""
        widths = [self.stem_width]
        for cell in self.branches[index]:
            if cell.down:
                widths.append(cell.width)
            else:
                widths[-1] = cell.width
        return tuple(widths)

    @cached_property
    def cells(self) -> tuple[PlacedCell, ...]:
        """Every distinct cell in an order of evaluation (layer by layer)."""
        return tuple(self._place_cells())

    def _place_cells(self) -> Iterator[PlacedCell]:
        num = len(self.branches)
        prefix = {(i, j): self.shared_prefix(i, j) for i in range(num) for j in range(i)}
        for layer in range(max(map(len, self.branches))):
            for i, branch in enumerate(self.branches):
                if layer >= len(branch) or any(prefix[i, j] > layer for j in range(i)):
                    continue  # past its end, or already placed with an earlier branch
                members = (i, *(j for j in range(i + 1, num) if prefix[j, i] > layer))
                stride_in = STEM_STRIDE << _num_downs(branch[:layer])
                width_in = branch[layer - 1].width if layer else self.stem_width
                yield PlacedCell(layer, members, branch[layer], stride_in, width_in)

    def layout(self) -> Layout:
        """Where its cells stand in a picture, and what feeds what."""
        index = {(b, cell.layer): n for n, cell in enumerate(self.cells) for b in cell.branches}
        links = [Link(index.get((cell.branches[0], cell.layer - 1), STEM), n) for n, cell in enumerate(self.cells)]
        links += [Link(index[b, len(branch) - 1], HEAD) for b, branch in enumerate(self.branches)]
        cells = [
            LaidCell(c.layer, c.stride_out, c.cell.op, c.cell.width, c.stride_in, c.width_in, c.branches)
            for c in self.cells
        ]
        return arrange(cells, links, self.output_strides)

    # Files and people ---------------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; the inverse of :meth:`from_dict`."""
        return {
            'format': FORMAT,
            'branches': [[{'op': c.op, 'width': c.width, 'down': c.down} for c in b] for b in self.branches],
            'stem_width': self.stem_width,
            'head_width': self.head_width,
            'low_level': self.low_level,
            'head_attention': self.head_attention,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], source: str = 'architecture', any_op: bool = False) -> Architecture:
        """Reads the plain form.

        Args:
            data: As written by :meth:`to_dict`; everything but ``branches`` may be left out.
            source: Named in errors, e.g. the file.
            any_op: Whether ops that nobody declared are read too: a search's files name a user's own, to be drawn and
                listed where these are not imported. Building such a network tells what is missing.

        Raises:
            ArchitectureError: Naming each value that is wrong.
        """
        if not isinstance(data, Mapping):
            raise ArchitectureError([f'expected an object with "branches", as in an arch.json of tools/search.py, got {type(data).__name__}'], source)
        allowed = {'format', 'branches', 'stem_width', 'head_width', 'low_level', 'head_attention'}
        problems = [f'unknown key {k!r} (known: {", ".join(sorted(allowed))})' for k in data if k not in allowed]
        if data.get('format', FORMAT) != FORMAT:
            problems.append(f'format {data["format"]!r}; this version reads {FORMAT!r}')
        branches = data.get('branches')
        if not isinstance(branches, Sequence) or isinstance(branches, str):
            problems.append(f'"branches" must be a list of lists of cells, got {branches!r}')
        if problems:
            raise ArchitectureError(problems, source)
        settings = {k: v for k, v in data.items() if k not in ('format', 'branches')}
        try:
            read = tuple(_read_branch(b, i) for i, b in enumerate(branches or ()))
            problems = [] if any_op else list(_unknown_ops(read))
            arch = cls(read, **settings)
        except ArchitectureError as error:
            problems += error.problems
        if problems:
            raise ArchitectureError(problems, source)
        return arch

    def describe(self) -> str:
        """A few lines for a person: one per branch, cells as ``op width`` with ``v`` where the branch goes down.

        Cells shared with an earlier branch are shown as one count.
        """
        settings = f'stem {self.stem_width}/12, head {self.head_width}/12, low level {self.low_level}'
        settings += '' if self.head_attention else ', no head attention'
        lines = [f'{self.archid}: {len(self.branches)} branch(es) to stride {"+".join(map(str, self.output_strides))}; {settings}']
        for i, (branch, stride) in enumerate(zip(self.branches, self.output_strides, strict=True)):
            shared = max((self.shared_prefix(i, j) for j in range(i)), default=0)
            cells = [f'{c.op} {c.width}{" v" if c.down else ""}' for c in branch[shared:]]
            lines.append(f'  s{stride:<2} ' + ' | '.join([f'({shared} shared)'] * bool(shared) + cells))
        return '\n'.join(lines)


# Canonical form and its checks ------------------------------------------------------------------------------------------------


def _num_downs(branch: Sequence[Cell]) -> int:
    return sum(c.down for c in branch)


def _canonical(branch: Branch, head_width: int) -> Branch:
    cells = tuple(c for c in branch if c.op != SKIP)
    if cells and cells[-1].width != head_width:
        cells = (*cells[:-1], Cell(cells[-1].op, head_width, cells[-1].down))
    return cells


def _is_width(value: object) -> bool:
    return type(value) is int and 1 <= value <= FULL_WIDTH


def _setting_problems(arch: Architecture) -> Iterator[str]:
    for name in ('stem_width', 'head_width'):
        if not _is_width(getattr(arch, name)):
            yield f'{name} {getattr(arch, name)!r}; expected twelfths, a whole number 1..{FULL_WIDTH}'
    if arch.low_level not in LOW_LEVELS:
        yield f'low_level {arch.low_level!r}; expected one of {", ".join(LOW_LEVELS)}'
    if type(arch.head_attention) is not bool:
        yield f'head_attention {arch.head_attention!r}; expected true or false'


def _unknown_ops(branches: Sequence[Branch]) -> Iterator[str]:
    names = known_ops()
    for index, branch in enumerate(branches):
        for layer, cell in enumerate(branch):
            if _is_op(cell.op) and cell.op not in names:
                yield f'branch {index} layer {layer}: unknown op {cell.op!r} (known: {", ".join(names)})'


def _is_op(value: Any) -> bool:
    return isinstance(value, str) and value.isidentifier()


def _branch_problems(branch: Branch, index: int) -> Iterator[str]:
    for layer, cell in enumerate(branch):
        where = f'branch {index} layer {layer}'
        if not _is_op(cell.op):
            yield f'{where}: op {cell.op!r}; expected the name of an op (known: {", ".join(known_ops())})'
        if not _is_width(cell.width):
            yield f'{where}: width {cell.width!r}; expected twelfths, a whole number 1..{FULL_WIDTH}'
        if type(cell.down) is not bool:
            yield f'{where}: down {cell.down!r}; expected true or false (a branch never goes up)'
        elif cell.down and cell.op == SKIP:
            yield f'{where}: a skip cannot go down; use an op that computes'


def _length_problems(branches: Sequence[Branch]) -> Iterator[str]:
    for index, branch in enumerate(branches):
        if not branch:
            yield f'branch {index} has no cell that computes; at least one is needed'
        elif branch[-1].down:
            yield f'branch {index}: its last cell goes down; the last cell works at the stride the head reads'
        if _num_downs(branch) > MAX_DOWNS:
            layers = [n for n, c in enumerate(branch) if c.down]
            yield f'branch {index} goes down {len(layers)} times (layers {layers}); at most {MAX_DOWNS} reach stride 32'


def _pair_problems(arch: Architecture) -> Iterator[str]:
    """The paper's second constraint: branches of a net go down at different places (section 3.4)."""
    for i in range(len(arch.branches)):
        for j in range(i):
            a, b = arch.branches[j], arch.branches[i]
            if not a or not b:
                continue  # told already, and an empty branch shares nothing
            if _num_downs(a) == _num_downs(b):
                yield f'branches {j} and {i} both end at stride {STEM_STRIDE << _num_downs(a)}; at most one may end at each stride'
            shared = arch.shared_prefix(i, j)
            both = [n for n in range(shared, min(len(a), len(b))) if a[n].down and b[n].down]
            if both:
                yield f'branches {j} and {i} both go down at layer(s) {both}; branches must go down at different places'


def _read_branch(branch: Any, index: int) -> Branch:
    if not isinstance(branch, Sequence) or isinstance(branch, str):
        raise ArchitectureError([f'branch {index} must be a list of cells, got {branch!r}'])
    problems, cells = [], []
    for layer, cell in enumerate(branch):
        if not isinstance(cell, Mapping) or not {'op', 'width'} <= cell.keys() <= {'op', 'width', 'down'}:
            problems.append(f'branch {index} layer {layer}: expected {{"op", "width", "down"}}, got {cell!r}')
        else:
            cells.append(Cell(cell['op'], cell['width'], cell.get('down', False)))
    if problems:
        raise ArchitectureError(problems)
    return tuple(cells)
