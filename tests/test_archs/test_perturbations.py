from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyctas_mm.archs import Architecture, Cell, SearchSpace, load_arch
from hyctas_mm.archs.perturbations import (
    attention_to_conv,
    conv_to_attention,
    perturbations,
    shift_attention_branch,
    shift_attention_position,
    with_ops,
)
from tests.test_archs.test_search_space import spaces


def skeleton(arch: Architecture) -> list[list[tuple[int, bool]]]:
    return [[(cell.width, cell.down) for cell in branch] for branch in arch.branches]


def attentions(arch: Architecture) -> set[tuple[int, int]]:
    """(branch, layer) of every attention."""
    return {(b, n) for b, branch in enumerate(arch.branches) for n, cell in enumerate(branch) if cell.op == 'attention'}


@given(spaces, st.integers(0, 2**32 - 1))
def test_variants_are_valid_and_only_ops_differ(space: SearchSpace, seed: int) -> None:
    rng = np.random.default_rng(seed)
    arch = space.sample(rng)
    variants = perturbations(arch, np.random.default_rng(seed), space)
    names = ['SA -> conv', 'conv -> SA', 'shift SA position', 'shift SA branch']
    assert [v.name for v in variants] == names + ['close a gate', 'open a gate'] * space.nodes
    for variant, change in zip(variants[4:], (-1, 1), strict=False):
        if variant.arch is not None:
            assert variant.arch.branches == arch.branches and len(variant.arch.gates) == len(arch.gates) + change
        else:
            assert arch.gates == (() if change < 0 else arch.possible_gates)
    for variant in variants:
        if variant.arch is None:
            assert variant.note
            continue
        assert variant.arch != arch and skeleton(variant.arch) == skeleton(arch)
        assert Architecture.from_dict(variant.arch.to_dict()) == variant.arch
        assert (space.violations(variant.arch) == []) == ('not in the search space' not in variant.note)
        assert space.violations(variant.arch) == [] or 'attention' not in space.ops
    assert variants == perturbations(arch, np.random.default_rng(seed), space)


@given(spaces, st.integers(0, 2**32 - 1))
def test_replacing_leaves_none(space: SearchSpace, seed: int) -> None:
    arch = space.sample(np.random.default_rng(seed))
    without, only = attention_to_conv(arch, space).arch, conv_to_attention(arch).arch
    ops = Counter(cell.op for branch in arch.branches for cell in branch)
    assert (without is None) == (ops['attention'] == 0) and (only is None) == (ops.total() == ops['attention'])
    assert without is None or not attentions(without)
    assert only is None or len(attentions(only)) == ops.total()


@given(spaces, st.integers(0, 2**32 - 1))
def test_shifting_keeps_strides_and_counts(space: SearchSpace, seed: int) -> None:
    rng = np.random.default_rng(seed)
    arch = space.sample(rng)
    before = {p.name: p for p in arch.cells}
    for shift in (shift_attention_position, shift_attention_branch):
        variant = shift(arch, rng)
        if variant.arch is None:
            continue
        gained, lost = attentions(variant.arch) - attentions(arch), attentions(arch) - attentions(variant.arch)
        assert gained and lost

        def placed(branch: int, layer: int):
            return next(p for p in before.values() if p.layer == layer and branch in p.branches)

        sources, targets = ({placed(*place) for place in places} for places in (lost, gained))
        assert Counter(p.stride_in for p in sources) == Counter(p.stride_in for p in targets)
        for target in targets:
            same = [
                bool(set(target.branches) & set(source.branches))
                for source in sources
                if source.stride_in == target.stride_in
            ]
            assert any(same) if shift is shift_attention_position else not all(same)


def test_the_published_medium_network() -> None:
    arch = load_arch('hyctas-m')
    variants = perturbations(arch, np.random.default_rng(0))
    assert all(v.arch is not None for v in variants[:3]) and attentions(arch)
    shifted = variants[2].arch
    assert shifted is not None and attentions(shifted) != attentions(arch)


def branch(*ops: str, down: int | None = None) -> tuple[Cell, ...]:
    return tuple(Cell(op, 6, n == down) for n, op in enumerate(ops))


@pytest.mark.parametrize(
    ('branches', 'index', 'note'),
    [
        ((branch('conv', 'conv'),), 0, 'it has no attention'),
        ((branch('attention', 'attention'),), 1, 'it has no convolution'),
        ((branch('attention', 'attention'),), 2, 'no attention has another position in its branch at the same stride'),
        ((branch('attention', 'conv', down=0),), 2, 'no attention has another position'),
        ((branch('attention', 'conv'),), 3, 'it has one branch only'),
        (
            (branch('conv', 'conv'), branch('lite_conv', 'conv', 'attention', down=1)),
            3,
            'no attention has another branch at the same stride',
        ),
    ],
)
def test_what_cannot_be_done_is_said(branches: tuple, index: int, note: str) -> None:
    variant = perturbations(Architecture(branches), np.random.default_rng(0))[index]
    assert variant.arch is None and variant.note.startswith(note)


def test_attention_goes_to_the_other_branch() -> None:
    arch = Architecture((branch('conv', 'attention', 'conv'), branch('lite_conv', 'lite_conv', 'conv', down=1)))
    shifted = shift_attention_branch(arch, np.random.default_rng(0)).arch
    assert shifted is not None
    ((where, layer),) = attentions(shifted)
    assert where == 1 and layer in (0, 1) and shifted.branches[0][1].op == 'lite_conv'


def test_more_attention_than_places() -> None:
    arch = Architecture((branch('attention', 'attention', 'conv', 'attention'),))
    variant = shift_attention_position(arch, np.random.default_rng(0))
    assert variant.note == '1 of 3 attentions moved; the others have no free position in its branch at their stride'
    assert variant.arch is not None and variant.arch.branches[0][2].op == 'attention'


def test_spaces_with_other_ops() -> None:
    arch = Architecture((branch('attention', 'lite_conv'),))
    space = SearchSpace(ops=('skip', 'lite_conv', 'attention'), widths=(6, 12))
    lite = attention_to_conv(arch, space).arch
    assert lite is not None and {c.op for c in lite.branches[0]} == {'lite_conv'}
    assert attention_to_conv(arch, SearchSpace(ops=('attention',))).note == 'the search space has no op but attention'
    notes = [
        v.note
        for v in perturbations(
            Architecture((branch('conv', 'conv'),)), np.random.default_rng(0), SearchSpace(ops=('conv',))
        )
    ]
    assert notes[1].startswith('not in the search space: branch 0 has 2 cells')


def test_a_shared_cell_stays_shared() -> None:
    arch = Architecture((branch('conv', 'attention', 'conv'), branch('conv', 'lite_conv', 'conv', down=1)))
    assert arch.shared_prefix(1, 0) == 1
    changed = with_ops(arch, {'0_0': 'attention'})
    assert changed.shared_prefix(1, 0) == 1 and [b[0].op for b in changed.branches] == ['attention', 'attention']
