from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyctas_mm.archs import SearchSpace
from hyctas_mm.search.archive import Archive, Candidate, SearchFileError, read_archive

SPACE = SearchSpace(layers=4)


def candidate(index: int) -> Candidate:
    arch = SPACE.sample(np.random.default_rng(index))
    return Candidate(
        index,
        index // 4,
        len(arch.branches),
        arch,
        dict(mIoU=30.5 + index),
        dict(macs_g=0.1 * index),
        ('too slow',) * (index % 2),
        1.5,
    )


def fill(path: Path, count: int = 6) -> list[Candidate]:
    archive = Archive(path)
    candidates = [candidate(i) for i in range(count)]
    for c in candidates:
        archive.append(c)
    return candidates


def test_round_trip(tmp_path: Path) -> None:
    candidates = fill(tmp_path / 'a.jsonl')
    assert list(read_archive(tmp_path / 'a.jsonl')) == candidates
    again = Archive(tmp_path / 'a.jsonl')
    assert len(again) == 6 and again.get(candidates[3].archid) == candidates[3] and again.get('x') is None


@given(st.integers(1, 400))
def test_torn_anywhere_in_the_last_line_it_continues(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    path = tmp_path_factory.mktemp('archive') / 'a.jsonl'
    candidates = fill(path, 3)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    path.write_bytes(whole[: -min(cut, len(lines[-1]))])
    archive = Archive(path)
    assert list(archive) == candidates[:2]
    archive.append(candidates[2])
    assert path.read_bytes() == whole


def test_lines_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    path = tmp_path / 'a.jsonl'
    fill(path)
    lines = path.read_text().splitlines()
    path.write_text('\n'.join([lines[0], lines[1][:50], *lines[2:]]) + '\n')
    with pytest.raises(SearchFileError, match='line 2: not JSON'):
        read_archive(path)
    with pytest.raises(SearchFileError, match='line 2: not JSON'):
        Archive(path)
    other = json.loads(lines[1]) | dict(arch=json.loads(lines[2])['arch'])
    path.write_text('\n'.join([lines[0], json.dumps(other)]) + '\n')
    with pytest.raises(SearchFileError, match='line 2.*was edited'):
        read_archive(path)


@pytest.mark.parametrize('edit', ['value', 'removed', 'swapped', 'check'])
def test_an_archive_edited_by_hand_is_refused(tmp_path: Path, edit: str) -> None:
    path = tmp_path / 'a.jsonl'
    fill(path)
    lines = path.read_text().splitlines()
    if edit == 'value':
        lines[2] = lines[2].replace('32.5', '92.5')
    elif edit == 'removed':
        del lines[2]
    elif edit == 'swapped':
        lines[2], lines[3] = lines[3], lines[2]
    else:
        lines[2] = json.dumps({k: v for k, v in json.loads(lines[2]).items() if k != 'check'})
    path.write_text('\n'.join(lines) + '\n')
    with pytest.raises(SearchFileError, match='line 3: not as the search wrote it'):
        Archive(path)


def test_a_full_disk_leaves_the_archive_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / 'a.jsonl'
    fill(path, 2)
    before = path.read_bytes()
    archive = Archive(path)

    def full(_file: int) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('os.fsync', full)
    with pytest.raises(OSError, match='No space left'):
        archive.append(candidate(2))
    assert path.read_bytes() == before and len(archive) == 2
    monkeypatch.undo()
    archive.append(candidate(2))
    assert len(Archive(path)) == 3
