from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hyctas_mm.archs import Architecture, SearchSpace
from hyctas_mm.archs.extremes import largest, shrunk, smallest
from hyctas_mm.archs.parts import LOW_LEVELS
from tests.test_archs.test_search_space import spaces

seeds = st.one_of(st.none(), st.integers(0, 2**32 - 1))


def size(arch: Architecture) -> tuple[int, int]:
    return sum(map(len, arch.branches)), sum(cell.width for branch in arch.branches for cell in branch)


def rng_of(seed: int | None) -> np.random.Generator | None:
    return None if seed is None else np.random.default_rng(seed)


@given(spaces, seeds)
def test_largest(space: SearchSpace, seed: int | None) -> None:
    arch = largest(space, rng_of(seed))
    assert not space.violations(arch)
    assert [len(branch) for branch in arch.branches] == [space.layers] * space.max_branches
    last = {(len(branch) - 1, index) for index, branch in enumerate(arch.branches)}
    inner = [cell for cell in arch.cells if (cell.layer, cell.branches[0]) not in last]
    assert all(cell.cell.width == max(space.widths_at(cell.stride_out)) for cell in inner)
    assert [cell.width for cell in arch.detail] == [max(space.widths_at(4))] * space.detail_layers
    assert (arch.stem_width, arch.head_width) == (max(space.stem_widths), max(space.head_widths))
    assert arch.head_depth == max(space.head_depths)
    assert arch.head_attention == (True in space.head_attentions)
    assert arch.low_level == max(space.low_levels, key=LOW_LEVELS.index)
    assert arch.output_strides == (8, 16, 32)[-space.max_branches :]


@given(spaces, seeds)
def test_smallest(space: SearchSpace, seed: int | None) -> None:
    arch = smallest(space, rng_of(seed))
    assert not space.violations(arch)
    (branch,) = arch.branches
    downs = sum(cell.down for cell in branch)
    assert len(branch) == (downs + 1 if 'skip' in space.ops else space.layers)
    assert all(cell.width == min(space.widths) for cell in branch[:-1])
    assert len(arch.detail) == (0 if 'skip' in space.detail_ops else space.detail_layers)
    assert arch.head_depth == min(space.head_depths)
    assert (arch.stem_width, arch.head_width) == (min(space.stem_widths), min(space.head_widths))
    assert arch.head_attention == (False not in space.head_attentions)
    assert seed is not None or arch.output_strides == (8,)


@given(spaces, seeds, st.integers(0, 2**32 - 1))
def test_every_architecture_lies_between(space: SearchSpace, seed: int | None, other: int) -> None:
    low, high = smallest(space), largest(space, rng_of(seed))
    assert all(a <= b <= c for a, b, c in zip(size(low), size(space.sample(np.random.default_rng(other))), size(high)))


@given(spaces, st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_shrunk(space: SearchSpace, seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    arch = space.sample(rng)
    assert shrunk(space, arch, 0.0, rng) == arch
    between = shrunk(space, arch, share, rng)
    assert not space.violations(between) and between.output_strides == arch.output_strides
    least = shrunk(space, arch, 1.0, rng)
    assert (least.stem_width, least.head_width) == (min(space.stem_widths), min(space.head_widths))
    assert all(cell.width == min(space.widths) for branch in least.branches for cell in branch[:-1])
    assert sum(map(len, least.branches)) <= sum(map(len, arch.branches))
    if 'skip' in space.ops:
        assert all(len(branch) <= 4 for branch in least.branches), (
            'two to go down, one that another branch goes down at, and the last'
        )


def test_without_a_generator_all_is_fixed_and_every_op_is_in_the_largest() -> None:
    space = SearchSpace()
    assert largest(space) == largest(space) and smallest(space) == smallest(space)
    ops = [cell.op for branch in largest(space).branches for cell in branch]
    assert set(ops) == {'conv', 'lite_conv', 'lite_conv_2x', 'attention'}
    assert len(largest(space).cells) == 3 * space.layers, 'no cell is shared'
    assert [len(smallest(space).branches[0]), smallest(space).branches[0][0].op] == [1, 'conv']


def test_drawn_ops_favour_none() -> None:
    space, rng = SearchSpace(), np.random.default_rng(0)
    first = [largest(space, rng).branches[0][3].op for _ in range(400)]
    assert all(80 <= first.count(op) <= 120 for op in ('conv', 'lite_conv', 'lite_conv_2x', 'attention'))
    ends = [smallest(space, rng).output_strides for _ in range(300)]
    assert all(75 <= ends.count(end) <= 125 for end in ((8,), (16,), (32,)))
