from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyctas_mm.archs import Architecture, ArchitectureError, Cell, Gate, SearchSpace
from tests.conftest import DETAILED

spaces = st.builds(
    SearchSpace,
    layers=st.integers(4, 20),
    ops=st.sampled_from(
        [('skip', 'conv', 'lite_conv', 'lite_conv_2x', 'attention'), ('conv', 'attention'), ('skip', 'lite_conv')]
    ),
    widths=st.sampled_from([(4, 6, 8, 10, 12), (12,), (3, 9)]),
    max_branches=st.integers(1, 3),
    stem_widths=st.sampled_from([(12,), (4, 8)]),
    head_widths=st.sampled_from([(12,), (6, 12)]),
    low_levels=st.sampled_from([('none',), ('none', 's4', 's4s8')]),
    head_attentions=st.sampled_from([(True,), (False, True)]),
    nodes=st.booleans(),
    gate_prob=st.sampled_from([0.25, 1.0]),
    fine_widths=st.sampled_from([(), (16, 24)]),
    detail_layers=st.integers(0, 3),
    detail_ops=st.sampled_from([('skip', 'conv', 'lite_conv'), ('lite_conv',)]),
    head_depths=st.sampled_from([(1,), (1, 2, 3), (2,)]),
)


@given(spaces, st.integers(0, 2**32 - 1))
def test_random_architectures_are_valid_and_round_trip(space: SearchSpace, seed: int) -> None:
    rng = np.random.default_rng(seed)
    arch = space.sample(rng)
    assert space.violations(arch) == []
    assert Architecture.from_dict(json.loads(json.dumps(arch.to_dict()))) == arch
    for layout in (len(arch.branches), None):
        assert space.decode(space.encode(arch, layout), layout) == arch
    assert SearchSpace.from_dict(json.loads(json.dumps(space.to_dict()))) == space


@given(spaces, st.data())
def test_any_genes_within_the_bounds_are_valid(space: SearchSpace, data: st.DataObject) -> None:
    layout = data.draw(st.sampled_from([None, *range(1, space.max_branches + 1)]))
    lower, upper = space.bounds(layout)
    genes = data.draw(st.tuples(*(st.integers(int(a), int(b)) for a, b in zip(lower, upper, strict=True))))
    arch = space.decode(genes, layout)
    assert space.violations(arch) == []
    assert layout is None or len(arch.branches) == layout


@given(spaces, st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_mutation_and_crossover_stay_in_the_space(space: SearchSpace, seed: int, prob: float) -> None:
    rng = np.random.default_rng(seed)
    a, b = space.sample(rng), space.sample(rng)
    children = [space.mutate(a, rng, prob), space.mutate(a, rng, prob, joint=True), *space.crossover(a, b, rng)]
    assert all(space.violations(c) == [] for c in children)
    assert len(children[0].branches) == len(a.branches)


@pytest.mark.slow
@pytest.mark.parametrize('options', [{}, dict(nodes=True), dict(DETAILED, nodes=True)], ids=['paper', 'nodes', 'all'])
def test_ten_thousand_architectures(options: dict[str, Any]) -> None:
    space = SearchSpace(layers=16, **options)
    rng = np.random.default_rng(0)
    for _ in range(10_000):
        arch = space.sample(rng)
        assert not space.violations(arch)
        assert space.decode(space.encode(arch)) == arch
        assert Architecture.from_dict(arch.to_dict()) == arch


def test_prior_over_branches_and_ends() -> None:
    space, rng = SearchSpace(), np.random.default_rng(0)
    archs = [space.sample(rng) for _ in range(4000)]
    shares = [np.mean([len(a.branches) == n for a in archs]) for n in (1, 2, 3)]
    assert np.allclose(shares, (0.2, 0.3, 0.5), atol=0.03)
    singles = [a.output_strides for a in archs if len(a.branches) == 1]
    assert all(np.isclose(singles.count((s,)) / len(singles), 1 / 3, atol=0.06) for s in (8, 16, 32))


def test_sharing_is_sampled() -> None:
    space, rng = SearchSpace(), np.random.default_rng(0)
    shared = [space.sample(rng, 2).shared_prefix(0, 1) for _ in range(500)]
    assert min(shared) == 0 and max(shared) >= 8 and 0.4 < np.mean([s > 0 for s in shared]) < 0.95


def test_no_mutation_changes_nothing_and_crossover_mixes() -> None:
    space, rng = SearchSpace(), np.random.default_rng(0)
    a, b = space.sample(rng, 3), space.sample(rng, 3)
    assert space.mutate(a, rng, 0.0) == a
    assert space.crossover(a, a, rng) == (a, a)
    assert any(space.crossover(a, b, rng)[0] not in (a, b) for _ in range(10))


@pytest.mark.parametrize('fine_widths', [(), (24,)])
def test_size_is_exact(fine_widths: tuple[int, ...]) -> None:
    """Against all architectures of a small space, listed by brute force."""
    space = SearchSpace(layers=4, ops=('skip', 'conv'), widths=(6, 12), max_branches=2, fine_widths=fine_widths)
    chains: dict[int, list] = {0: [], 1: [], 2: []}
    for length in range(1, 5):
        for count, found in chains.items():
            for places in itertools.combinations(range(length - 1), count):
                fine = places[0] if places else length - 1  # cells before it write maps of stride 8
                choices = [(6, 12) + fine_widths * (n < fine) for n in range(length - 1)]
                for widths in itertools.product(*choices):
                    found.append(tuple(Cell('conv', w, n in places) for n, w in enumerate((*widths, 12))))
    singles = {Architecture((c,)).archid for found in chains.values() for c in found}
    pairs = set()
    for a, b in ((0, 1), (0, 2), (1, 2)):
        for pair in itertools.product(chains[a], chains[b]):
            try:
                arch = Architecture(pair)
            except ArchitectureError:
                continue
            if not space.violations(arch):
                pairs.add(arch.archid)
                assert space.decode(space.encode(arch, 2), 2) == arch
    assert (space.size(1), space.size(2), space.size()) == (len(singles), len(pairs), len(singles) + len(pairs))
    detailed = replace(space, detail_layers=2, head_depths=(1, 3))
    cells = [Cell(op, width) for op in ('conv', 'lite_conv') for width in (6, 12, *fine_widths)]
    details = [detail for length in range(3) for detail in itertools.product(cells, repeat=length)]
    assert not any(
        detailed.violations(Architecture(chains[1][:1], detail=d, head_depth=n)) for d in details for n in (1, 3)
    )
    assert detailed.size() == space.size() * len(details) * 2


@pytest.mark.slow
def test_size_with_gates_is_exact() -> None:
    """Every choice of gates of every architecture of a small space of three branches, itself listed by brute force."""
    small = dict(layers=4, ops=('skip', 'conv'), widths=(6, 12))
    chains = [
        tuple(Cell('conv', w, n in places) for n, w in enumerate((*widths, 12)))
        for length in range(1, 5)
        for widths in itertools.product((6, 12), repeat=length - 1)
        for places in itertools.chain.from_iterable(
            itertools.combinations(range(length - 1), downs) for downs in (0, 1, 2)
        )
    ]
    by_downs = [[c for c in chains if sum(cell.down for cell in c) == downs] for downs in (0, 1, 2)]
    plain, space = SearchSpace(**small), SearchSpace(**small, nodes=True)
    found = {1: 0, 2: 0, 3: 0}
    for count in found:
        for ends in itertools.combinations(range(3), count):
            for branches in itertools.product(*(by_downs[end] for end in ends)):
                try:
                    arch = Architecture(branches)
                except ArchitectureError:
                    continue
                if not plain.violations(arch):
                    found[count] += 2 ** len(gates_by_hand(arch))
    assert {count: space.size(count) for count in found} == found and space.size() == sum(found.values())


def gates_by_hand(arch: Architecture) -> set[Gate]:
    """Every gate that may be there, from the branches alone."""
    found = set()
    for layer, i, j in itertools.product(range(20), range(len(arch.branches)), range(len(arch.branches))):
        a, b = arch.branches[i], arch.branches[j]
        strides = [sum(cell.down for cell in branch[: layer + 1]) for branch in (a, b)]
        shares = [any(arch.shared_prefix(branch, other) > layer for other in range(branch)) for branch in (i, j)]
        if layer < min(len(a), len(b)) - 1 and strides[0] != strides[1] and not any(shares):
            found.add(Gate(layer, i, j))
    return found


@given(spaces, st.integers(0, 2**32 - 1))
def test_gates_are_where_strides_differ(space: SearchSpace, seed: int) -> None:
    arch = space.sample(np.random.default_rng(seed))
    assert set(arch.possible_gates) == gates_by_hand(arch) and set(arch.gates) <= set(arch.possible_gates)
    assert space.nodes or not arch.gates
    if space.nodes and space.gate_prob == 1:
        assert arch.gates == arch.possible_gates
    if arch.gates:
        closed = replace(arch, gates=())
        assert closed.archid != arch.archid and 'gates' not in closed.to_dict()
        assert closed.with_gates(arch.gates) == arch and closed.with_gates(arch.gates).archid == arch.archid
        assert any('give it nodes=True' in problem for problem in SearchSpace(layers=20).violations(arch))


def test_prior_over_gates() -> None:
    space, rng = SearchSpace(nodes=True), np.random.default_rng(0)
    archs = [space.sample(rng, 3) for _ in range(500)]
    share = sum(len(a.gates) for a in archs) / sum(len(a.possible_gates) for a in archs)
    assert abs(share - 0.25) < 0.02
    assert any(space.mutate(a, rng, 0.05).gates != a.gates for a in archs[:20])


def test_violations_are_named() -> None:
    space = SearchSpace(layers=4, ops=('skip', 'conv'), widths=(6, 12), max_branches=1)
    arch = Architecture((tuple(Cell('attention', 4) for _ in range(5)),), stem_width=6, low_level='s4')
    text = '; '.join(space.violations(arch))
    for part in ('stem_width 6', "low_level 's4'", '5 cells', "op 'attention'", 'width 4'):
        assert part in text
    with pytest.raises(ArchitectureError, match='not in this search space'):
        space.encode(arch)
    shared = (Cell('conv', 6, True), Cell('conv', 6), Cell('conv', 12))
    other = (Cell('conv', 6, True), Cell('conv', 6), Cell('conv', 6, True), Cell('conv', 12))
    assert 'different places' in SearchSpace().violations(Architecture((shared, other)))[0]
    assert "unknown op 'x'" in space.violations(dict(branches=[[dict(op='x', width=6)]]))[0]


@pytest.mark.parametrize(
    ('arguments', 'expected'),
    [
        (dict(layers=21), 'layers=21'),
        (dict(layers=3), 'layers=3'),
        (dict(max_branches=4), 'max_branches=4'),
        (dict(ops=('skip',)), 'ops='),
        (dict(ops=('conv', 'warp')), 'warp'),
        (dict(widths=()), 'widths='),
        (dict(widths=(6, 25)), '25'),
        (dict(widths=(6, 6)), 'twice'),
        (dict(low_levels=('s2',)), 's2'),
        (dict(head_attentions=()), 'head_attentions'),
        (dict(base_channels=0), 'base_channels=0'),
        (dict(branch_probs=(0, 0, 0)), 'branch_probs'),
        (dict(nodes='yes'), "nodes='yes'"),
        (dict(gate_prob=2), 'gate_prob=2'),
        (dict(fine_widths=(16, 25)), '25'),
        (dict(fine_widths=(10, 16)), 'the fine ones above the others'),
        (dict(detail_layers=4), 'detail_layers=4'),
        (dict(detail_layers=1, detail_ops=('skip',)), 'detail_ops='),
        (dict(head_depths=(1, 4)), 'head_depths='),
    ],
)
def test_wrong_arguments(arguments: dict, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        SearchSpace(**arguments)
    with pytest.raises(ValueError, match='unknown key'):
        SearchSpace.from_dict(dict(depth=3))


def test_genes_out_of_bounds() -> None:
    space = SearchSpace()
    lower, upper = space.bounds(2)
    with pytest.raises(ValueError, match='do not fit'):
        space.decode(upper + 1, 2)
    with pytest.raises(ValueError, match='do not fit'):
        space.decode(lower[:-1], 2)
    with pytest.raises(ValueError, match='num_branches=4'):
        space.bounds(4)
