from __future__ import annotations

import json
from pathlib import Path

import pytest

from hyctas_mm.archs import Architecture, ArchitectureError, Cell, load_arch, num_channels, zoo_names


def branch(*cells: tuple) -> tuple[Cell, ...]:
    return tuple(Cell(*c) for c in cells)


def test_skips_vanish_and_the_last_width_is_the_heads() -> None:
    arch = Architecture((branch(('conv', 6), ('skip', 12), ('lite_conv', 8), ('skip', 4)),), head_width=10)
    assert arch.branches == (branch(('conv', 6), ('lite_conv', 10)),)


def test_equal_networks_have_equal_ids_whatever_the_order_of_branches() -> None:
    a = branch(('conv', 6), ('conv', 12))
    b = branch(('conv', 6), ('conv', 8, True), ('attention', 12))
    assert Architecture((a, b)) == Architecture((b, a))
    assert Architecture((a, b)).archid == Architecture((b, a)).archid
    assert Architecture((a,)).archid != Architecture((b,)).archid


def test_id_does_not_change_between_versions() -> None:
    assert load_arch('hyctas-s').archid == '5074fe882e29'


def test_output_strides_and_widths_of_features() -> None:
    arch = Architecture(
        (branch(('conv', 6), ('conv', 8, True), ('conv', 10), ('conv', 4, True), ('conv', 12)),), stem_width=8
    )
    assert arch.output_strides == (32,)
    assert arch.feature_widths(0) == (6, 10, 12)
    first_down = Architecture((branch(('conv', 8, True), ('conv', 12)),), stem_width=8)
    assert first_down.feature_widths(0) == (8, 12)


def test_shared_cells_of_the_published_l() -> None:
    arch = load_arch('hyctas-l')
    assert [arch.shared_prefix(i, j) for i, j in ((1, 0), (2, 0), (2, 1))] == [8, 4, 4]
    members = {p.name: p.branches for p in arch.cells}
    assert (
        members['3_0'] == (0, 1, 2) and members['7_0'] == (0, 1) and members['7_2'] == (2,) and members['8_1'] == (1,)
    )
    assert len(arch.cells) == 4 + 4 * 2 + 12 * 3


def test_last_cell_is_never_shared() -> None:
    arch = Architecture(
        (branch(('conv', 6), ('conv', 12)), branch(('conv', 6), ('conv', 12), ('conv', 6, True), ('conv', 12)))
    )
    assert arch.shared_prefix(0, 1) == 1


def test_channels_round_half_to_even() -> None:
    assert [num_channels(8, w, 12) for w in (4, 6, 8, 10, 12)] == [32, 48, 64, 80, 96]
    assert num_channels(2, 3, 1) == 1 and num_channels(2, 9, 1) == 2  # 0.5 -> at least 1; 1.5 -> 2
    assert num_channels(2, 3, 5) == 2  # 2.5 -> 2


@pytest.mark.parametrize(
    ('branches', 'expected'),
    [
        ([], 'no branch'),
        ([[dict(op='warp', width=6)]], "unknown op 'warp'"),
        ([[dict(op='conv', width=25)]], 'width 25; expected twelfths'),
        ([[dict(op='conv', width=0.5)]], 'width 0.5'),
        ([[dict(op='conv', width=6, down=-1), dict(op='conv', width=6)]], 'never goes up'),
        ([[dict(op='conv', width=6, down=True)] * 3 + [dict(op='conv', width=6)]], 'goes down 3 times'),
        ([[dict(op='skip', width=6, down=True), dict(op='conv', width=6)]], 'a skip cannot go down'),
        ([[dict(op='skip', width=6)]], 'no cell that computes'),
        ([[dict(op='conv', width=6, down=True)]], 'last cell goes down'),
        ([[dict(op='conv', width=6)], [dict(op='attention', width=6)]], 'both end at stride 8'),
        (
            [
                [dict(op='conv', width=6, down=True), dict(op='conv', width=6)],
                [
                    dict(op='attention', width=6, down=True),
                    dict(op='conv', width=6, down=True),
                    dict(op='conv', width=6),
                ],
            ],
            r'both go down at layer\(s\) \[0\]',
        ),
        ([[dict(op='conv')]], 'expected {"op", "width", "down"}'),
        ('conv', 'must be a list'),
    ],
)
def test_wrong_architectures_are_named(tmp_path: Path, branches: object, expected: str) -> None:
    path = tmp_path / 'arch.json'
    path.write_text(json.dumps(dict(branches=branches)))
    with pytest.raises(ArchitectureError, match=expected) as info:
        load_arch(path)
    assert str(path) in str(info.value)


def test_every_problem_is_listed() -> None:
    with pytest.raises(ArchitectureError) as info:
        Architecture.from_dict(dict(branches=[[dict(op='a', width=6), dict(op='conv', width=99)]], low_level='s2'))
    assert len(info.value.problems) == 3


def test_files_that_are_not_architectures(tmp_path: Path) -> None:
    path = tmp_path / 'arch.json'
    path.write_text('{"branches": [')
    with pytest.raises(ArchitectureError, match='not a JSON file'):
        load_arch(path)
    path.write_text('[]')
    with pytest.raises(ArchitectureError, match='expected an object'):
        load_arch(path)
    path.write_text('{"branches": [], "colour": 1}')
    with pytest.raises(ArchitectureError, match='unknown key'):
        load_arch(path)
    with pytest.raises(FileNotFoundError, match='hyctas-m'):
        load_arch('hyctas-xl')


def test_zoo_round_trips() -> None:
    assert zoo_names() == ['fasterseg', 'hyctas-l', 'hyctas-m', 'hyctas-s']
    for name in zoo_names():
        arch = load_arch(name)
        assert Architecture.from_dict(json.loads(json.dumps(arch.to_dict()))) == arch
        assert arch.archid in arch.describe()
