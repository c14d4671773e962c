from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyctas_mm.archs import ArchitectureError, SearchSpace, load_arch
from hyctas_mm.release.genotypes import RELEASE_OPS, read_release
from tests.goldens import golden_file
from tests.release_genotypes import write_release

SPACE = SearchSpace(layers=9, ops=[*RELEASE_OPS[1:], 'skip'])


@pytest.mark.parametrize('name', ['S', 'M', 'L'])
def test_published_genotypes_are_read_and_written_losslessly(name: str) -> None:
    import json

    data = json.loads(golden_file(f'shapes_{name}.json').read_text())['genotype']
    arch = load_arch(f'hyctas-{name.lower()}')
    read = read_release(data, low_level=arch.low_level)
    assert read.arch == arch
    assert write_release(read.arch, read.order) == data


@given(seed=st.integers(0, 2**32), branches=st.integers(1, 3), data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_architecture_in_any_order_of_branches(seed: int, branches: int, data: st.DataObject) -> None:
    arch = SPACE.sample(np.random.default_rng(seed), branches)
    order = data.draw(st.permutations(range(len(arch.branches))))
    genotype = write_release(arch, order)
    read = read_release(genotype, stem_width=arch.stem_width, head_width=arch.head_width, low_level=arch.low_level)
    assert read.arch == arch and read.order == tuple(order)
    assert write_release(read.arch, read.order) == genotype


def genotype(**changes: Any) -> dict[str, Any]:
    """A branch of four cells that goes down in its second."""
    plain: dict[str, Any] = dict(
        ops=[[1, 2, 3, 4]], paths=[[0, 0, 1, 1]], downs=[[0, 1, 0, 0]], widths=[[0.5, 0.5, 1.0]], lasts=[1]
    )
    return plain | changes


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(paths=[[0, 1, 1, 1]]), r'downs \[0, 1, 0, 0\] do not match its paths, which go down as \[1, 0, 0, 0\]'),
        (dict(paths=[[0, 0, 2, 2]]), r'expected 0 at first, then steps of 0 or 1'),
        (dict(paths=[[1, 1, 1, 1]]), r'expected 0 at first'),
        (dict(lasts=[2]), r'lasts 2; its paths end at 1'),
        (dict(widths=[[0.5, 0.5, 0.7]]), r'layer 2: width 0.7; expected a multiple of 1/12'),
        (dict(widths=[[0.5, 0.5, 0.0]]), r'width 0.0'),
        (dict(widths=[[0.5, 0.5, float('nan')]]), r'width nan'),
        (dict(widths=[[0.5, float('inf'), 1.0]]), r'width inf'),
        (dict(ops=[[1, 2, 3, 5]]), r'layer 3: op 5; expected 0..4'),
        (dict(ops=[[1, 0, 3, 4]]), r'layer 1: a skip goes down.*use another op'),
        (dict(ops=[[1, 2, 3]]), r'4 paths need as many ops and downs and one width less, got 3 ops'),
        (dict(lasts=[1, 1]), r"one entry for each branch.*'lasts': 2"),
        (dict(ops=[]), r'one entry for each branch'),
        (dict(ops=[1]), r'must be lists'),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        read_release(genotype(**changes), source='mine.json')


def test_missing_lists_and_other_files_are_named() -> None:
    with pytest.raises(ArchitectureError, match=r'mine\.json: widths, lasts missing'):
        read_release({k: v for k, v in genotype().items() if k in ('ops', 'paths', 'downs')}, source='mine.json')
    with pytest.raises(ArchitectureError, match='expected an object'):
        read_release([1, 2])  # type: ignore[arg-type]


def test_two_branches_to_one_stride_are_refused() -> None:
    twice = {key: value * 2 for key, value in genotype().items()}
    with pytest.raises(ArchitectureError, match='both end at stride 16'):
        read_release(twice)
