"""Reading the files of a search."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hyctas_mm.archs import ArchitectureError, known_ops
from hyctas_mm.report.result import load_search
from hyctas_mm.search.archive import SearchFileError
from hyctas_mm.search.objectives import format_value, label_of


def change_line(folder: Path, number: int, change: Callable[[str], str]) -> None:
    path = folder / 'archive.jsonl'
    lines = path.read_text().splitlines(keepends=True)
    lines[number - 1] = change(lines[number - 1])
    path.write_text(''.join(lines))


def test_reads_everything(search_dir: Path) -> None:
    result = load_search(search_dir)
    assert len(result.candidates) == 61
    assert len(result.scored) == 60
    assert result.tracks == [1, 2, 3]
    assert [o.name for o in result.axes] == ['latency_ms', 'mIoU']
    assert result.facts['dataset'] == 'Toy Streets'
    assert set(result.fronts_by_track) == {1, 2, 3}
    record = result.by_id[result.front[0]]
    assert not record.violations and record.value('latency_ms') and record.value('nothing') is None


def test_accepts_the_work_dir(search_dir: Path) -> None:
    assert load_search(search_dir.parent).path == search_dir == load_search(search_dir / 'archive.jsonl').path


def test_torn_last_line_is_ignored(search_dir: Path) -> None:
    with (search_dir / 'archive.jsonl').open('a') as file:
        file.write('{"index": 61, "generation": 4, "arch": {"bran')
    assert len(load_search(search_dir).candidates) == 61


def test_broken_middle_line_is_named(search_dir: Path) -> None:
    change_line(search_dir, 7, lambda line: line[:40] + '\n')
    with pytest.raises(SearchFileError, match=r'archive\.jsonl, line 7: not JSON'):
        load_search(search_dir)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda r: [], 'line 3: expected an object with "arch"'),
        (lambda r: {k: v for k, v in r.items() if k != 'generation'}, "line 3: the key 'generation' is missing"),
        (lambda r: r | {'metrics': {'mIoU': 'good'}}, 'line 3: a value is not of the expected type'),
        (lambda r: r | {'costs': 3}, 'line 3: a value is not of the expected type'),
    ],
)
def test_wrong_record_is_named(search_dir: Path, change: Callable[[dict], object], message: str) -> None:  # type: ignore[type-arg]
    change_line(search_dir, 3, lambda line: json.dumps(change(json.loads(line))) + '\n')
    with pytest.raises(SearchFileError, match=message):
        load_search(search_dir)


def test_wrong_architecture_names_the_line(search_dir: Path) -> None:
    change_line(
        search_dir,
        3,
        lambda line: json.dumps(json.loads(line) | {'arch': {'branches': [[{'op': 'conv', 'width': 25}]]}}) + '\n',
    )
    with pytest.raises(ArchitectureError, match=r'line 3: .*width 25'):
        load_search(search_dir)


def test_ops_of_the_user_are_read(search_dir: Path) -> None:
    arch = {'branches': [[{'op': 'op_of_somebody', 'width': 12}]]}
    change_line(
        search_dir,
        61,
        lambda line: json.dumps({k: v for k, v in json.loads(line).items() if k != 'archid'} | {'arch': arch}) + '\n',
    )
    assert load_search(search_dir).candidates[-1].arch.branches[0][0].op == 'op_of_somebody'
    assert 'op_of_somebody' not in known_ops(), 'reading registers nothing'


@pytest.mark.parametrize('name', ['archive.jsonl', 'front.json'])
def test_missing_file_is_named(search_dir: Path, name: str) -> None:
    (search_dir / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        load_search(search_dir)


def test_no_search_at_all(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match='run tools/search.py first'):
        load_search(tmp_path)


def test_front_that_is_not_json(search_dir: Path) -> None:
    (search_dir / 'front.json').write_text('{')
    with pytest.raises(SearchFileError, match=r'front\.json: not a JSON file'):
        load_search(search_dir)
    (search_dir / 'front.json').write_text('[]')
    with pytest.raises(SearchFileError, match='expected a JSON object, got list'):
        load_search(search_dir)


def test_empty_archive(search_dir: Path) -> None:
    (search_dir / 'archive.jsonl').write_text('\n')
    with pytest.raises(SearchFileError, match='no evaluated network'):
        load_search(search_dir)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'objectives': None}, '"objectives" must list at least two'),
        ({'objectives': [{'name': 'mIoU', 'direction': 'up'}] * 2}, 'direction'),
        (
            {'objectives': [{'name': 'mIoU', 'direction': 'max'}, {'name': 'joules', 'direction': 'min'}]},
            "objective 'joules'.*latency_ms",
        ),
        ({'front': 'abc'}, '"front" must be a list'),
        ({'chosen': [1]}, '"chosen" must be a list of archids'),
        ({'chosen': ['0123456789ab']}, '0123456789ab, which archive.jsonl does not hold'),
    ],
)
def test_wrong_front_is_an_error(edit_front: Callable[..., Path], changes: dict, message: str) -> None:  # type: ignore[type-arg]
    folder = edit_front(**changes)
    with pytest.raises(SearchFileError, match=message):
        load_search(folder)


def test_front_must_be_scored(search_dir: Path) -> None:
    archid = json.loads((search_dir / 'front.json').read_text())['front'][0]
    path = search_dir / 'archive.jsonl'
    records = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text(''.join(json.dumps(r | {'metrics': {}} if r['archid'] == archid else r) + '\n' for r in records))
    with pytest.raises(SearchFileError, match=f'{archid}, but archive.jsonl has no feasible record'):
        load_search(search_dir)


def test_text_of_values() -> None:
    values = [0, 0.00123, 0.0952, 0.5, 5.426, 123.45, 12345.6]
    assert [format_value(v) for v in values] == ['0.00', '0.0012', '0.095', '0.500', '5.43', '123.5', '12,346']
    assert label_of('latency_ms') == 'Latency (ms)'
    assert label_of('mIoU', '%') == 'mIoU (%)'
    assert label_of('mIoU') == 'mIoU (%)'
