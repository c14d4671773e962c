"""Everything that can be wrong with an architecture or a space of them, one sentence each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hyctas_mm.archs.ops import SKIP, known_ops
from hyctas_mm.archs.parts import (
    DETAIL_STRIDE,
    HEAD_DEPTHS,
    LOW_LEVELS,
    MAX_DOWNS,
    MAX_WIDTH,
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


DETAIL = 'detail'
MAX_DETAIL = 3


def _is_width(value: object) -> bool:
    return type(value) is int and 1 <= value <= MAX_WIDTH


def setting_problems(arch: Architecture) -> Iterator[str]:
    for name in ('stem_width', 'head_width'):
        if not _is_width(getattr(arch, name)):
            yield f'{name} {getattr(arch, name)!r}; expected twelfths, a whole number 1..{MAX_WIDTH}'
    if arch.low_level not in LOW_LEVELS:
        yield f'low_level {arch.low_level!r}; expected one of {", ".join(LOW_LEVELS)}'
    if type(arch.head_attention) is not bool:
        yield f'head_attention {arch.head_attention!r}; expected true or false'
    if type(arch.head_depth) is not int or arch.head_depth not in HEAD_DEPTHS:
        yield f'head_depth {arch.head_depth!r}; expected one of {", ".join(map(str, HEAD_DEPTHS))}'


def unknown_ops(chains: Mapping[str, Branch]) -> Iterator[str]:
    names = known_ops()
    for chain, cells in chains.items():
        for layer, cell in enumerate(cells):
            if _is_op(cell.op) and cell.op not in names:
                yield f'{chain} layer {layer}: unknown op {cell.op!r} (known: {", ".join(names)})'


def _is_op(value: Any) -> bool:
    return isinstance(value, str) and value.isidentifier()


def chain_problems(chain: str, cells: Branch) -> Iterator[str]:
    for layer, cell in enumerate(cells):
        where = f'{chain} layer {layer}'
        if not _is_op(cell.op):
            yield f'{where}: op {cell.op!r}; expected the name of an op (known: {", ".join(known_ops())})'
        if not _is_width(cell.width):
            yield f'{where}: width {cell.width!r}; expected twelfths, a whole number 1..{MAX_WIDTH}'
        if type(cell.down) is not bool:
            yield f'{where}: down {cell.down!r}; expected true or false (a branch never goes up)'
        elif cell.down and cell.op == SKIP:
            yield f'{where}: a skip cannot go down; use an op that computes'
        elif cell.down and chain == DETAIL:
            yield f'{where}: it goes down; the cells at stride 4 stay there'


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


def read_chain(chain: str, content: Any) -> Branch:
    if not isinstance(content, Sequence) or isinstance(content, str):
        raise ArchitectureError([f'{chain} must be a list of cells, got {content!r}'])
    problems, cells = [], []
    for layer, cell in enumerate(content):
        if not isinstance(cell, Mapping) or not {'op', 'width'} <= cell.keys() <= {'op', 'width', 'down'}:
            problems.append(f'{chain} layer {layer}: expected {{"op", "width", "down"}}, got {cell!r}')
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
    for name in ('ops', 'detail_ops'):
        value = getattr(space, name)
        if any(op not in known_ops() for op in value) or not set(value) - {SKIP}:
            yield f'{name}={value!r}; expected known ops, one of them other than skip (known: {", ".join(known_ops())})'
    for name in ('widths', 'stem_widths', 'head_widths', 'fine_widths'):
        value = getattr(space, name)
        if (not value and name != 'fine_widths') or not all(map(_is_width, value)):
            yield f'{name}={value!r}; expected twelfths, whole numbers 1..{MAX_WIDTH}'
        elif name == 'fine_widths' and value and (*space.widths, *value) != tuple(sorted({*space.widths, *value})):
            yield (
                f'widths={space.widths!r}, fine_widths={value!r}; expected ascending numbers, the fine ones above the '
                'others'
            )
    if not space.low_levels or any(v not in LOW_LEVELS for v in space.low_levels):
        yield f'low_levels={space.low_levels!r}; expected some of {", ".join(LOW_LEVELS)}'
    if not space.head_attentions or any(type(v) is not bool for v in space.head_attentions):
        yield f'head_attentions={space.head_attentions!r}; expected True, False or both'
    if type(space.detail_layers) is not int or not 0 <= space.detail_layers <= MAX_DETAIL:
        yield f'detail_layers={space.detail_layers!r}; expected a whole number 0..{MAX_DETAIL}'
    if not space.head_depths or any(type(d) is not int or d not in HEAD_DEPTHS for d in space.head_depths):
        yield f'head_depths={space.head_depths!r}; expected some of {", ".join(map(str, HEAD_DEPTHS))}'
    for name in (
        *('ops', 'detail_ops', 'widths', 'stem_widths', 'head_widths', 'head_depths'),
        *('low_levels', 'head_attentions'),
    ):
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
    for name in ('stem_width', 'head_width', 'head_depth', 'low_level', 'head_attention'):
        choices = getattr(space, f'{name}s')
        if getattr(arch, name) not in choices:
            yield f'{name} {getattr(arch, name)!r}; the space has {list(choices)}'
    if arch.gates and not space.nodes:
        yield f'{len(arch.gates)} gates between branches; the space has none, give it nodes=True'
    yield from _chain_membership(DETAIL, arch.detail, DETAIL_STRIDE, space.detail_layers, space.detail_ops, space)
    for index, branch in enumerate(arch.branches):
        yield from _chain_membership(f'branch {index}', branch, STEM_STRIDE, space.layers, space.ops, space)
    for i in range(len(arch.branches)):
        for j in range(i):
            shared = [n for n in range(arch.shared_prefix(i, j)) if arch.branches[i][n].down]
            if shared:
                places = f'both go down at layer(s) {shared}'
                yield f'branches {j} and {i} {places}; in the space they go down at different places'


def _chain_membership(
    chain: str, cells: Branch, stride: int, layers: int, ops: Sequence[str], space: SearchSpace
) -> Iterator[str]:
    any_depth = SKIP in ops
    if len(cells) > layers or (not any_depth and len(cells) < layers):
        depth = 'up to' if any_depth else 'exactly'
        yield f'{chain} has {len(cells)} cells; the space has {depth} {layers}'
    for layer, cell in enumerate(cells):
        stride <<= cell.down
        if cell.op not in ops:
            yield f'{chain} layer {layer}: op {cell.op!r}; the space has {list(ops)}'
        heads = chain != DETAIL and layer == len(cells) - 1  # the last cell of a branch has the head's width
        if cell.width not in space.widths_at(stride) and not heads:
            yield f'{chain} layer {layer}: width {cell.width}; the space has {list(space.widths_at(stride))}'
