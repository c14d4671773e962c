"""Whatever happened to an ``arch.json``: it is read as a valid architecture, or refused by an error that says why."""

from __future__ import annotations

import copy
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hyctas_mm.archs import Architecture, ArchitectureError, SearchSpace, load_arch, zoo_names

FILES = 2000  # 100,000 were tried once: python -m tests.test_archs.test_damaged_files 100000
WRONG = ({}, {'op': 'conv'}, 'warp', '', 0, 25, -1, 0.5, 1e400, float('nan'), '12', 'True', '\ud800', 2**70)
"""Values that fit nowhere in an architecture."""
OTHERS = (
    *WRONG,
    None,
    [],
    [[]],
    [[], []],
    [None],
    True,
    False,
    6,
    12,
    'skip',
    'conv',
    'attention',
    's4',
    [[], [dict(op='conv', width=6)]],
)


def places(node: Any, path: tuple = ()) -> list[tuple]:
    """Where something lies in a JSON document, the document itself left out."""
    keys = node.keys() if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    return [place for key in keys for place in ((*path, key), *places(node[key], (*path, key)))]


def parent_of(document: Any, place: tuple) -> Any:
    for key in place[:-1]:
        document = document[key]
    return document


def damaged(document: dict[str, Any], rng: np.random.Generator) -> bytes:
    """A file of an architecture after one to three mishaps."""
    document = copy.deepcopy(document)
    for _ in range(rng.integers(1, 4)):
        everything = places(document)
        if not everything:
            break
        place = everything[rng.integers(len(everything))]
        parent, key, other = parent_of(document, place), place[-1], copy.deepcopy(OTHERS[rng.integers(len(OTHERS))])
        kind = rng.integers(5)
        if kind == 0:
            del parent[key]
        elif kind == 1 and isinstance(parent, list):
            parent.insert(key, parent[rng.integers(len(parent))] if rng.random() < 0.5 else other)
        elif kind == 2 and isinstance(parent[key], list):
            parent[key].clear()
        elif kind == 3 and isinstance(parent, dict):
            parent[str(key) + '_'] = parent.pop(key)
        else:
            parent[key] = other
    content = bytearray(json.dumps(document).encode())
    if rng.random() < 0.4:
        start, length = int(rng.integers(len(content))), int(rng.integers(1, 20))
        new = rng.integers(256, size=length, dtype=np.uint8).tobytes() if rng.random() < 0.5 else content[:length]
        content[start : start + int(rng.choice([0, 1, length, len(content)]))] = new if rng.random() < 0.7 else b''
    return bytes(content)


def outcome(path: Path, content: bytes) -> str:
    """``'read'`` or ``'refused'``; anything else is an error of the test."""
    path.write_bytes(content)
    try:
        arch = load_arch(path)
    except ArchitectureError as error:
        assert error.problems and all(error.problems) and str(error).startswith(f'{path}: '), content
        return 'refused'
    assert Architecture.from_dict(json.loads(json.dumps(arch.to_dict()))) == arch and arch.archid in arch.describe(), (
        content
    )
    assert all(branch and not branch[-1].down for branch in arch.branches) and len({*arch.output_strides}) == len(
        arch.branches
    ), content
    return 'read'


def fuzz(folder: Path, count: int) -> Counter[str]:
    """How many of so many damaged files were read and refused."""
    rng, space = np.random.default_rng(0), SearchSpace(layers=6)
    documents = [
        *(load_arch(name).to_dict() for name in zoo_names()),
        *(space.sample(rng).to_dict() for _ in range(60)),
    ]
    return Counter(
        outcome(folder / 'arch.json', damaged(documents[rng.integers(len(documents))], rng)) for _ in range(count)
    )


def test_damaged_files(tmp_path: Path) -> None:
    found = fuzz(tmp_path, FILES)
    assert found['read'] > FILES / 50 and found['refused'] > FILES / 2


@pytest.mark.parametrize(
    'branches', [[[], []], [[], [], []], [[], [dict(op='conv', width=6)]], [[dict(op='skip', width=6)]] * 2]
)
def test_empty_branches(branches: list) -> None:
    with pytest.raises(ArchitectureError, match='branch 0 has no cell that computes'):
        Architecture.from_dict(dict(branches=branches))


def test_a_wrong_value_is_named() -> None:
    whole = load_arch('hyctas-m').to_dict()
    everything = [place for place in places(whole) if place != ('format',)]
    for place in everything:
        for wrong in WRONG:
            document = copy.deepcopy(whole)
            parent_of(document, place)[place[-1]] = wrong
            with pytest.raises(ArchitectureError) as info:
                Architecture.from_dict(document)
            assert repr(wrong) in str(info.value), (place, wrong)


@pytest.mark.parametrize('content', ['[' * 100_000, '{"branches": [], "stem_width": ' + '1' * 5000 + '}'])
def test_files_that_json_gives_up_on(tmp_path: Path, content: str) -> None:
    assert outcome(tmp_path / 'arch.json', content.encode()) == 'refused'


if __name__ == '__main__':
    import sys
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        print(fuzz(Path(scratch), int(sys.argv[1])))
