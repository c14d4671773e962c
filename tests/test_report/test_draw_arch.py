"""The drawing of a network."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from hyctas_mm.archs import Architecture, Cell, SearchSpace, declare_op, load_arch, zoo_names
from hyctas_mm.report.draw_arch import _Plan, draw_arch, draw_arch_file, sketch_data
from hyctas_mm.report.ops import count_ops, op_color, op_short, sort_ops

SVG = '{http://www.w3.org/2000/svg}'
WIDE = SearchSpace(
    layers=20,
    stem_widths=(6, 12),
    head_widths=(8, 12),
    low_levels=('none', 's4', 's4s8'),
    head_attentions=(True, False),
)


def sample_archs() -> list[Architecture]:
    rng = np.random.default_rng(7)
    return [space.sample(rng) for space in (SearchSpace(layers=4), WIDE) for _ in range(100)]


def boxes(root: ElementTree.Element, kind: str) -> list[tuple[float, float, float, float]]:
    found = [e for e in root.iter(f'{SVG}rect') if e.get('class') == kind]
    return [tuple(float(e.get(k, 'nan')) for k in ('x', 'y', 'width', 'height')) for e in found]  # type: ignore[misc]


def check(arch: Architecture) -> None:
    root = ElementTree.fromstring(draw_arch(arch))
    cells = boxes(root, 'cell')
    assert len(cells) == len(arch.cells)
    assert len({(x, y) for x, y, _, _ in cells}) == len(cells), 'two cells at one place'
    lanes = boxes(root, 'lane')
    for x, y, w, h in cells:
        assert any(ly < y and y + h < ly + lh and lx < x and x + w < lx + lw for lx, ly, lw, lh in lanes), (
            'a cell outside the lanes'
        )
    width, height = float(root.get('width', 0)), float(root.get('height', 0))
    assert all(x + w <= width and y + h <= height for x, y, w, h in boxes(root, 'block'))
    legend = {e.text for e in root.iter(f'{SVG}text') if e.get('class') == 'legend'}
    assert {c.cell.op for c in arch.cells} <= legend


def test_random_archs() -> None:
    for arch in sample_archs():
        check(arch)


@pytest.mark.parametrize('name', zoo_names())
def test_zoo(name: str) -> None:
    check(load_arch(name))


def test_wires_do_not_cross_boxes_of_their_row() -> None:
    # horizontal wires run on the rows; only those to the next cell or past the last one may be there
    for arch in sample_archs():
        root = ElementTree.fromstring(draw_arch(arch))
        centres = [(x, y + h / 2, w) for x, y, w, h in boxes(root, 'cell')]
        for path in root.iter(f'{SVG}path'):
            straight = re.fullmatch(r'M([\d.]+) ([\d.]+)H([\d.]+)', path.get('d', ''))
            if straight and path.get('class') == 'wire':
                start, y, end = map(float, straight.groups())
                assert not [x for x, cy, w in centres if cy == y and start < x + w / 2 < end], arch.archid


def test_shared_cells_are_drawn_once_and_say_so() -> None:
    drawing = draw_arch(load_arch('hyctas-l'), 16)
    assert drawing.count('class="cell"') == 48
    assert drawing.count('shared by 3 branches') == 4
    assert drawing.count('shared by 2 branches') == 4
    assert drawing.count('class="fork"') == 2


def test_channels_and_head() -> None:
    arch = Architecture(
        ((Cell('conv', 6), Cell('lite_conv', 8, True), Cell('attention', 12)),), head_attention=False, low_level='s4s8'
    )
    drawing = draw_arch(arch, base_channels=8)
    assert 'layer 0: conv at 1/8, 64 to 32 channels, width 6/12' in drawing
    assert 'layer 1: lite_conv 1/8 to 1/16, 32 to 85 channels, width 8/12' in drawing
    assert 'no attention' in drawing
    assert drawing.count('class="wire low"') == 2


def test_user_op_has_a_stable_light_color() -> None:
    declare_op('shuffle_mix_block')
    arch = Architecture(((Cell('shuffle_mix_block', 12),),))
    check(arch)
    assert op_color('shuffle_mix_block') == op_color('shuffle_mix_block') != op_color('conv')
    assert re.fullmatch('#[0-9a-f]{6}', op_color('shuffle_mix_block'))
    assert op_short('shuffle_mix_block') == 'shuffle…'
    assert sort_ops(['b_op', 'attention', 'a_op', 'conv', 'conv']) == ['conv', 'attention', 'a_op', 'b_op']


def test_standalone_without_fetches(tmp_path: Path) -> None:
    path = draw_arch_file(load_arch('hyctas-s'), tmp_path / 'arch.svg', 12)
    text = path.read_text(encoding='utf-8')
    assert text.replace('http://www.w3.org/2000/svg', '').find('http') == -1
    assert path.stat().st_size < 40_000


def test_base_channels_must_be_positive() -> None:
    with pytest.raises(ValueError, match='base_channels=0'):
        draw_arch(load_arch('hyctas-s'), 0)


def test_nothing_large_is_loaded_for_it() -> None:
    """Neither by importing any module of the report nor by drawing a network; what imports them may load what it
    likes.
    """
    code = """
import importlib, pkgutil, sys, types
package = types.ModuleType('hyctas_mm')
package.__path__ = [sys.argv[1]]
sys.modules['hyctas_mm'] = package  # its own __init__ registers everything
import hyctas_mm.report
modules = [module.name for module in pkgutil.iter_modules(hyctas_mm.report.__path__, 'hyctas_mm.report.')]
for name in modules:
    importlib.import_module(name)
from hyctas_mm.archs import load_arch
from hyctas_mm.report.draw_arch import draw_arch
assert draw_arch(load_arch('hyctas-m')) and len(modules) > 5
print(sorted({'torch', 'mmengine', 'mmcv', 'matplotlib'} & sys.modules.keys()))
"""
    package = Path(__file__).parents[2] / 'hyctas_mm'
    done = subprocess.run([sys.executable, '-c', code, str(package)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == '[]'


def test_gates_are_drawn_and_explained() -> None:
    space = SearchSpace(layers=10, nodes=True, gate_prob=0.35)
    arch = space.sample(np.random.default_rng(4), 3)
    with_gates, without = draw_arch(arch), draw_arch(arch.with_gates(()))
    assert (
        arch.gates
        and with_gates.count('class="node"') == len(arch.gates) + 1
        and 'gate: a map added to another' in with_gates
    )
    assert 'class="node"' not in without and 'gate:' not in without
    first = arch.gates[0]
    strides = [
        next(c.stride_out for c in arch.cells if c.layer == first.layer and b in c.branches)
        for b in (first.source, first.target)
    ]
    assert f'after layer {first.layer}: the map at 1/{strides[0]} is added to that at 1/{strides[1]}' in with_gates


def test_cells_at_stride_4_stand_within_the_stem() -> None:
    cell = Cell('conv', 12)
    arch = Architecture(((cell, cell),), detail=(Cell('conv', 8), Cell('lite_conv', 24)), low_level='s4', head_depth=2)
    text, plan = draw_arch(arch, 6), _Plan(arch, arch.layout(), 6)
    assert '1/4</text>' in text and 'cell 0: conv at 1/4, 48 to 16 channels' in text
    assert 'cell 1: lite_conv at 1/4, 16 to 48 channels' in text and 'depth 2</text>' in text
    stem, places = [x for _, _, x in plan.stem], [plan.place(cell)[0] for cell in plan.layout.cells]
    assert stem[:2] == sorted(stem[:2]) and [*stem[1:2], *places[:2], stem[2], *places[2:]] == sorted(
        [*stem[1:], *places]
    )
    ((_, x, _, _),) = plan.low_level  # the head reads the map of the last of them
    assert places[1] < x < places[1] + plan.box_w
    data = sketch_data([arch, Architecture(((cell,),))])
    assert data['strides'] == (4, 8, 16, 32)
    assert data['archs'][arch.archid][:4] == [1, 1, 0, 0] and data['archs'][arch.archid][4::5] == [-2, -1, 0, 1]
    assert data['archs'][arch.archid][8::5] == [-3, 0, -1, 2]
    assert count_ops([arch])[4, 1] == {'lite_conv': 1}
