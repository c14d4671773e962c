"""Everything that can be wrong with an architecture, one sentence each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hyctas_mm.archs.ops import SKIP, known_ops
from hyctas_mm.archs.parts import FULL_WIDTH, LOW_LEVELS, MAX_DOWNS, STEM_STRIDE, ArchitectureError, Branch, Cell, Gate, num_downs

if TYPE_CHECKING:
    from hyctas_mm.archs.architecture import Architecture


def _is_width(value: object) -> bool:
    return type(value) is int and 1 <= value <= FULL_WIDTH


def setting_problems(arch: Architecture) -> Iterator[str]:
    for name in ('stem_width', 'head_width'):
        if not _is_width(getattr(arch, name)):
            yield f'{name} {getattr(arch, name)!r}; expected twelfths, a whole number 1..{FULL_WIDTH}'
    if arch.low_level not in LOW_LEVELS:
        yield f'low_level {arch.low_level!r}; expected one of {", ".join(LOW_LEVELS)}'
    if type(arch.head_attention) is not bool:
        yield f'head_attention {arch.head_attention!r}; expected true or false'


def unknown_ops(branches: Sequence[Branch]) -> Iterator[str]:
    names = known_ops()
    for index, branch in enumerate(branches):
        for layer, cell in enumerate(branch):
            if _is_op(cell.op) and cell.op not in names:
                yield f'branch {index} layer {layer}: unknown op {cell.op!r} (known: {", ".join(names)})'


def _is_op(value: Any) -> bool:
    return isinstance(value, str) and value.isidentifier()


def branch_problems(branch: Branch, index: int) -> Iterator[str]:
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


def length_problems(branches: Sequence[Branch]) -> Iterator[str]:
    for index, branch in enumerate(branches):
        if not branch:
            yield f'branch {index} has no cell that computes; at least one is needed'
        elif branch[-1].down:
            yield f'branch {index}: its last cell goes down; the last cell works at the stride the head reads'
        if num_downs(branch) > MAX_DOWNS:
            layers = [n for n, c in enumerate(branch) if c.down]
            yield f'branch {index} goes down {len(layers)} times (layers {layers}); at most {MAX_DOWNS} reach stride 32'


def pair_problems(arch: Architecture) -> Iterator[str]:
    """The paper's second constraint: branches of a net go down at different places (section 3.4)."""
    for i in range(len(arch.branches)):
        for j in range(i):
            a, b = arch.branches[j], arch.branches[i]
            if not a or not b:
                continue  # told already, and an empty branch shares nothing
            if num_downs(a) == num_downs(b):
                yield f'branches {j} and {i} both end at stride {STEM_STRIDE << num_downs(a)}; at most one may end at each stride'
            shared = arch.shared_prefix(i, j)
            both = [n for n in range(shared, min(len(a), len(b))) if a[n].down and b[n].down]
            if both:
                yield f'branches {j} and {i} both go down at layer(s) {both}; branches must go down at different places'


def gate_problems(arch: Architecture) -> Iterator[str]:
    possible = set(arch.possible_gates) if arch.gates else set()
    for gate in arch.gates:
        where = f'gate after layer {gate.layer!r} from branch {gate.source!r} to branch {gate.target!r}'
        if gate not in possible:
            yield f'{where}: expected the first branches of two cells of different strides at a layer before the last of both'
        elif arch.gates.count(gate) > 1:
            yield f'{where} is there twice'


def read_branch(branch: Any, index: int) -> Branch:
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


def read_gates(gates: Any) -> tuple[Gate, ...]:
    keys = ('layer', 'source', 'target')
    if not isinstance(gates, Sequence) or isinstance(gates, str):
        raise ArchitectureError([f'"gates" must be a list of objects with {", ".join(keys)}, got {gates!r}'])
    for gate in gates:
        if not isinstance(gate, Mapping) or set(gate) != set(keys) or any(type(gate[key]) is not int for key in keys):
            raise ArchitectureError([f'gates: expected {{"layer", "source", "target"}} with whole numbers, got {gate!r}'])
    return tuple(Gate(*(gate[key] for key in keys)) for gate in gates)
