"""Everything that can be wrong with an architecture or a space of them, one sentence each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hyctas_mm.archs.ops import SKIP, known_ops
from hyctas_mm.archs.parts import (
    FULL_WIDTH,
    LOW_LEVELS,
    MAX_DOWNS,
    STEM_STRIDE,
    ArchitectureError,
    Branch,
    Cell,
    Gate,
    num_downs,
)

if TYPE_CHECKING:
    from hyctas_mm.archs.architecture import Architecture
    from hyctas_mm.archs.search_space import SearchSpace


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
                yield (
                    f'branches {j} and {i} both end at stride {STEM_STRIDE << num_downs(a)}; at most one may end '
                    'at each stride'
                )
            shared = arch.shared_prefix(i, j)
            both = [n for n in range(shared, min(len(a), len(b))) if a[n].down and b[n].down]
            if both:
                yield f'branches {j} and {i} both go down at layer(s) {both}; branches must go down at different places'


def gate_problems(arch: Architecture) -> Iterator[str]:
    possible = set(arch.possible_gates) if arch.gates else set()
    for gate in arch.gates:
        where = f'gate after layer {gate.layer!r} from branch {gate.source!r} to branch {gate.target!r}'
        if gate not in possible:
            yield (
                f'{where}: expected the first branches of two cells of different strides at a layer before the '
                'last of both'
            )
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
            raise ArchitectureError(
                [f'gates: expected {{"layer", "source", "target"}} with whole numbers, got {gate!r}']
            )
    return tuple(Gate(*(gate[key] for key in keys)) for gate in gates)


def space_problems(space: SearchSpace) -> Iterator[str]:
    if type(space.layers) is not int or not 4 <= space.layers <= 20:
        yield f'layers={space.layers!r}; expected a whole number 4..20'
    if type(space.max_branches) is not int or not 1 <= space.max_branches <= MAX_DOWNS + 1:
        yield f'max_branches={space.max_branches!r}; expected 1, 2 or 3'
    if type(space.base_channels) is not int or space.base_channels < 1:
        yield f'base_channels={space.base_channels!r}; expected a positive whole number'
    unknown = [op for op in space.ops if op not in known_ops()]
    if unknown or not space.computing:
        yield f'ops={space.ops!r}; expected known ops, one of them other than skip (known: {", ".join(known_ops())})'
    for name in ('widths', 'stem_widths', 'head_widths'):
        value = getattr(space, name)
        if not value or any(type(w) is not int or not 1 <= w <= FULL_WIDTH for w in value):
            yield f'{name}={value!r}; expected twelfths, whole numbers 1..{FULL_WIDTH}'
    if not space.low_levels or any(v not in LOW_LEVELS for v in space.low_levels):
        yield f'low_levels={space.low_levels!r}; expected some of {", ".join(LOW_LEVELS)}'
    if not space.head_attentions or any(type(v) is not bool for v in space.head_attentions):
        yield f'head_attentions={space.head_attentions!r}; expected True, False or both'
    for name in ('ops', 'widths', 'stem_widths', 'head_widths', 'low_levels', 'head_attentions'):
        if len(set(getattr(space, name))) != len(getattr(space, name)):
            yield f'{name}={getattr(space, name)!r} names a choice twice; name each once'
    probs = space.branch_probs[: space.max_branches]
    if len(probs) < space.max_branches or min(probs) < 0 or sum(probs) <= 0:
        yield f'branch_probs={space.branch_probs!r}; expected {space.max_branches} numbers >= 0, not all 0'
    if type(space.nodes) is not bool:
        yield f'nodes={space.nodes!r}; expected True or False'
    if not isinstance(space.gate_prob, (int, float)) or not 0 <= space.gate_prob <= 1:
        yield f'gate_prob={space.gate_prob!r}; expected a probability 0..1'


def membership_problems(space: SearchSpace, arch: Architecture) -> Iterator[str]:
    if len(arch.branches) > space.max_branches:
        yield f'{len(arch.branches)} branches; the space has at most {space.max_branches}'
    for name in ('stem_width', 'head_width', 'low_level', 'head_attention'):
        choices = getattr(space, f'{name}s')
        if getattr(arch, name) not in choices:
            yield f'{name} {getattr(arch, name)!r}; the space has {list(choices)}'
    if arch.gates and not space.nodes:
        yield f'{len(arch.gates)} gates between branches; the space has none, give it nodes=True'
    any_depth = SKIP in space.ops
    for index, branch in enumerate(arch.branches):
        if len(branch) > space.layers or (not any_depth and len(branch) < space.layers):
            depth = 'up to' if any_depth else 'exactly'
            yield f'branch {index} has {len(branch)} cells; the space has {depth} {space.layers}'
        for layer, cell in enumerate(branch):
            if cell.op not in space.ops:
                yield f'branch {index} layer {layer}: op {cell.op!r}; the space has {list(space.ops)}'
            if cell.width not in space.widths and layer < len(branch) - 1:
                yield f'branch {index} layer {layer}: width {cell.width}; the space has {list(space.widths)}'
    for i in range(len(arch.branches)):
        for j in range(i):
            shared = [n for n in range(arch.shared_prefix(i, j)) if arch.branches[i][n].down]
            if shared:
                places = f'both go down at layer(s) {shared}'
                yield f'branches {j} and {i} {places}; in the space they go down at different places'
