"""What a network is: branches of cells between a stem and a head.

Plain data without torch. An :class:`Architecture` is always in canonical form, so equal networks are equal objects with
equal ids.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, groupby, permutations
from operator import mul
from typing import Any

from hyctas_mm.archs.layout import HEAD, STEM, STEM4, LaidCell, Layout, Link, arrange
from hyctas_mm.archs.ops import SKIP
from hyctas_mm.archs.parts import (
    DETAIL_STRIDE,
    FULL_WIDTH,
    STEM_STRIDE,
    ArchitectureError,
    Branch,
    Cell,
    Gate,
    PlacedCell,
    num_downs,
)
from hyctas_mm.archs.problems import (
    DETAIL,
    chain_problems,
    gate_problems,
    length_problems,
    pair_problems,
    read_chain,
    read_gates,
    setting_problems,
    unknown_ops,
)

FORMAT = 'hyctas_mm/arch-1'


@dataclass(frozen=True)
class Architecture:
    """A network: branches, and the widths and variants of stem and head.

    The constructor brings the network into canonical form: skips at equal stride vanish (they are the identity), the
    last cell of each branch takes the head's width, branches are ordered by their final stride. Branches share the
    cells of an equal prefix, except that the last cell of a branch is its own (the release's rule).

    Args:
        branches: Chains of cells. Each starts at stride 8, goes down at most twice and not in its last cell; at most
            one branch ends at each of the strides 8, 16, 32; two different cells of one layer do not both go down.
        stem_width: Width of the stem in twelfths.
        head_width: Width of the aggregation in twelfths, and so of the last cell of each branch.
        low_level: ``'none'``, ``'s4'`` or ``'s4s8'``.
        head_attention: Whether the head has its attention block.
        gates: Open nodes between branches, in any order; they name branches and layers of the canonical form. After
            each layer but the last of a branch there may be one for each two cells that write maps of different
            strides; see :attr:`possible_gates`.
        detail: Cells at stride 4, between the stem's convolutions at strides 4 and 8; their map takes the place of the
            stem's at stride 4. NOTE(paper): it has none.
        head_depth: 3x3 convolutions before the head's predictor, 1..3. NOTE(paper): it has one.

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
    gates: tuple[Gate, ...] = ()
    detail: Branch = ()
    head_depth: int = 1

    def __post_init__(self) -> None:
        chains = {DETAIL: self.detail} | {f'branch {i}': b for i, b in enumerate(self.branches)}
        problems = [*setting_problems(self), *(p for item in chains.items() for p in chain_problems(*item))]
        if not self.branches:
            problems.append('it has no branch; at least one is needed')
        if problems:
            raise ArchitectureError(problems)
        branches = tuple(sorted((_canonical(b, self.head_width) for b in self.branches), key=num_downs))
        object.__setattr__(self, 'branches', branches)
        object.__setattr__(self, 'gates', tuple(sorted(self.gates)))
        object.__setattr__(self, 'detail', tuple(c for c in self.detail if c.op != SKIP))
        problems = [*length_problems(branches), *pair_problems(self)]
        problems = problems or list(gate_problems(self))
        if problems:
            raise ArchitectureError(problems)

    # Derived facts ----------------------------------------------------------------------------------------------------

    @property
    def output_strides(self) -> tuple[int, ...]:
        """Final stride of each branch, ascending: the output combination the head is chosen by."""
        return tuple(STEM_STRIDE << num_downs(b) for b in self.branches)

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
        """Widths (twelfths) of the last map that a branch has at stride 8, 16, ...

        up to its final stride: what the head reads.
        """
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
        strides_in = [
            list(accumulate((1 + c.down for c in branch), mul, initial=STEM_STRIDE)) for branch in self.branches
        ]
        prefix = {(i, j): self.shared_prefix(i, j) for i in range(num) for j in range(i)}
        for layer in range(max(map(len, self.branches))):
            for i, branch in enumerate(self.branches):
                if layer >= len(branch) or any(prefix[i, j] > layer for j in range(i)):
                    continue  # past its end, or already placed with an earlier branch
                members = (i, *(j for j in range(i + 1, num) if prefix[j, i] > layer))
                width_in = branch[layer - 1].width if layer else self.stem_width
                yield PlacedCell(layer, members, branch[layer], strides_in[i][layer], width_in)

    @cached_property
    def possible_gates(self) -> tuple[Gate, ...]:
        """Every gate that these branches may have, ascending."""
        found = []
        for layer, group in groupby(self.cells, key=lambda placed: placed.layer):
            there = [placed for placed in group if layer < len(self.branches[placed.branches[0]]) - 1]
            for source, target in permutations(there, 2):
                if source.stride_out != target.stride_out:
                    found.append(Gate(layer, source.branches[0], target.branches[0]))
        return tuple(found)

    def with_gates(self, gates: Iterable[Gate]) -> Architecture:
        """The same branches with those of the gates that they may have."""
        arch = copy(self)  # valid as it is, which is not checked again
        arch.__dict__.pop('archid', None)
        wanted = set(gates)
        object.__setattr__(arch, 'gates', tuple(gate for gate in self.possible_gates if gate in wanted))
        return arch

    def with_cells(self, cells: Mapping[str, Cell]) -> Architecture:
        """With other ops and widths in some cells, by :attr:`PlacedCell.name`; where it goes down stays.

        A shared cell stays shared. Cells that become equal from the start of two branches on are shared then, as equal
        prefixes always are, and gates at them are those of the first branch.
        """
        branches = [list(branch) for branch in self.branches]
        for placed in self.cells:
            for index in placed.branches:
                branches[index][placed.layer] = cells.get(placed.name, placed.cell)
        arch = replace(self, branches=tuple(map(tuple, branches)), gates=())
        lead = {(cell.layer, branch): cell.branches[0] for cell in arch.cells for branch in cell.branches}
        return arch.with_gates(Gate(g.layer, lead[g.layer, g.source], lead[g.layer, g.target]) for g in self.gates)

    def layout(self) -> Layout:
        """Where its cells stand in a picture, and what feeds what."""
        first, everyone = len(self.detail), tuple(range(len(self.branches)))
        index = {(b, cell.layer): n for n, cell in enumerate(self.cells, first) for b in cell.branches}
        links = [
            Link(index.get((cell.branches[0], cell.layer - 1), STEM), n) for n, cell in enumerate(self.cells, first)
        ]
        links += [Link(index[b, len(branch) - 1], HEAD) for b, branch in enumerate(self.branches)]
        cells = []
        if self.detail:
            links += [Link(n - 1 if n else STEM4, n) for n in range(first)] + [Link(first - 1, STEM)]
            widths_in = (2 * self.stem_width, *(c.width for c in self.detail))
            cells = [
                LaidCell(n - first, DETAIL_STRIDE, c.op, c.width, DETAIL_STRIDE, widths_in[n], everyone)
                for n, c in enumerate(self.detail)
            ]
        cells += [
            LaidCell(c.layer, c.stride_out, c.cell.op, c.cell.width, c.stride_in, c.width_in, c.branches)
            for c in self.cells
        ]
        gates = [Link(index[g.source, g.layer], index[g.target, g.layer]) for g in self.gates]
        return arrange(cells, links, self.output_strides, gates)

    # Files and people -------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; the inverse of :meth:`from_dict`."""
        data = {
            'format': FORMAT,
            'branches': [[{'op': c.op, 'width': c.width, 'down': c.down} for c in b] for b in self.branches],
            'stem_width': self.stem_width,
            'head_width': self.head_width,
            'low_level': self.low_level,
            'head_attention': self.head_attention,
        }
        if self.gates:
            data['gates'] = [{'layer': g.layer, 'source': g.source, 'target': g.target} for g in self.gates]
        if self.detail:
            data['detail'] = [{'op': c.op, 'width': c.width} for c in self.detail]
        if self.head_depth != 1:
            data['head_depth'] = self.head_depth
        return data

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
            raise ArchitectureError(
                [
                    'expected an object with "branches", as in an arch.json of tools/search.py, got '
                    f'{type(data).__name__}'
                ],
                source,
            )
        allowed = {'format', 'branches', 'stem_width', 'head_width', 'low_level', 'head_attention', 'gates'}
        allowed |= {'detail', 'head_depth'}
        problems = [f'unknown key {k!r} (known: {", ".join(sorted(allowed))})' for k in data if k not in allowed]
        if data.get('format', FORMAT) != FORMAT:
            problems.append(f'format {data["format"]!r}; this version reads {FORMAT!r}')
        branches = data.get('branches')
        if not isinstance(branches, Sequence) or isinstance(branches, str):
            problems.append(f'"branches" must be a list of lists of cells, got {branches!r}')
        if problems:
            raise ArchitectureError(problems, source)
        settings = {k: v for k, v in data.items() if k not in ('format', 'branches', 'gates', 'detail')}
        try:
            gates = read_gates(data.get('gates', ()))
            detail = read_chain(DETAIL, data.get('detail', ()))
            read = {f'branch {i}': read_chain(f'branch {i}', b) for i, b in enumerate(branches or ())}
            problems = [] if any_op else list(unknown_ops({DETAIL: detail, **read}))
            arch = cls(tuple(read.values()), gates=gates, detail=detail, **settings)
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
        settings += f', head depth {self.head_depth}' if self.head_depth > 1 else ''
        lines = [
            f'{self.archid}: {len(self.branches)} branch(es) to stride {"+".join(map(str, self.output_strides))}; '
            f'{settings}'
        ]
        if self.detail:
            lines.append('  s4  ' + ' | '.join(f'{c.op} {c.width}' for c in self.detail))
        for i, (branch, stride) in enumerate(zip(self.branches, self.output_strides, strict=True)):
            shared = max((self.shared_prefix(i, j) for j in range(i)), default=0)
            cells = [f'{c.op} {c.width}{" v" if c.down else ""}' for c in branch[shared:]]
            lines.append(f'  s{stride:<2} ' + ' | '.join([f'({shared} shared)'] * bool(shared) + cells))
        for layer, gates in groupby(self.gates, key=lambda gate: gate.layer):
            ways = ', '.join(f's{self.output_strides[g.source]} to s{self.output_strides[g.target]}' for g in gates)
            lines.append(f'  after layer {layer}: {ways}')
        return '\n'.join(lines)


def _canonical(branch: Branch, head_width: int) -> Branch:
    cells = tuple(c for c in branch if c.op != SKIP)
    if cells and cells[-1].width != head_width:
        cells = (*cells[:-1], Cell(cells[-1].op, head_width, cells[-1].down))
    return cells
