"""The numbers that the page sketches networks from."""

from __future__ import annotations

import numpy as np

from hyctas_mm.archs import Architecture, Cell, SearchSpace, load_arch
from hyctas_mm.report.draw_arch import sketch_data


def test_by_hand() -> None:
    # the branches fork behind a cell that they share; the second goes down there
    shared = Cell('conv', 12)
    arch = Architecture(((shared, Cell('attention', 12)), (shared, Cell('conv', 4, True), Cell('conv', 12))))
    data = sketch_data([arch])
    assert [name for name, _ in data['ops']] == ['conv', 'attn'] and data['strides'] == (8, 16, 32)
    assert data['archs'] == {arch.archid: [1, 1, 0, 0, 0, 0, 12, -1, 1, 0, 1, 12, 0, 1, 1, 0, 4, 0, 2, 1, 0, 12, 2]}


def test_every_cell_has_a_place_of_its_own() -> None:
    rng = np.random.default_rng(5)
    space = SearchSpace(layers=12)
    for arch in [*(space.sample(rng) for _ in range(100)), load_arch('hyctas-l')]:
        numbers = sketch_data([arch])['archs'][arch.archid]
        cells = np.array(numbers[3:]).reshape(-1, 5)
        assert len(cells) == len(arch.cells)
        assert len({(layer, row) for layer, row, *_ in cells.tolist()}) == len(cells)
        assert cells[:, 1].max() < sum(numbers[:3])
        for layer, _, _, _, source in cells.tolist():
            assert layer == (cells[source][0] + 1 if source >= 0 else 0)
