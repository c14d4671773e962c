"""Searches that are killed, and searches of several processes, end in the archive of one that ran alone and
undisturbed.
"""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import pytest

from hyctas_mm.cli.mistakes import mistake
from hyctas_mm.files import lock_folder
from hyctas_mm.search.archive import read_archive
from hyctas_mm.search.folder import SearchFolder
from tests import forks
from tests.evaluators import judged_by, learning
from tests.test_engine.test_search_loop import lines
from tests.tiny_jobs import SCREENED, config, run

pytestmark = pytest.mark.slow


def processes(name: str, *arguments: Path | int | str) -> str:
    """What a function of search_processes.py returns."""
    command = json.dumps([name, *(str(a) if isinstance(a, Path) else a for a in arguments)])
    done = forks.run('-m', 'tests.test_engine.search_processes', command, patience_s=900)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout.splitlines()[-1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return int(probe.getsockname()[1])


def fronts(work_dir: Path) -> list:
    content = json.loads((work_dir / 'search' / 'front.json').read_text())
    return [content['front'], content['chosen'], content['fronts_by_track']]


def test_twelve_kills_change_nothing(toy_root: Path, supernet: Path, tmp_path: Path) -> None:
    assert processes('kill', toy_root, supernet, tmp_path / 'killed', 12).startswith('12 killed')
    processes('kill', toy_root, supernet, tmp_path / 'whole', 0)
    whole = tmp_path / 'whole' / 'run0'
    assert len(lines(whole)) > 40
    assert len(list((tmp_path / 'killed').glob('run*'))) > 1, 'searches came to their end between the kills'
    for work_dir in sorted((tmp_path / 'killed').glob('run*')):
        assert lines(work_dir) == lines(whole) and fronts(work_dir) == fronts(whole)


def test_more_processes_than_candidates_of_a_generation_give_the_archive_of_one(
    toy_root: Path, supernet: Path, searched: Path, tmp_path: Path
) -> None:
    """Two processes, by command, are in test_launcher.py."""
    assert processes('ranks', toy_root, supernet, tmp_path, 4, free_port()) == '0 0 0 0'
    assert lines(tmp_path) == lines(searched) and fronts(tmp_path) == fronts(searched)
    assert not list((tmp_path / 'search').glob('pending/*'))


def test_screening_in_two_processes_gives_the_archive_of_one(toy_root: Path, supernet: Path, tmp_path: Path) -> None:
    run(config('search', toy_root, tmp_path / 'one', **{'train_cfg.supernet': str(supernet)}, **SCREENED))
    assert processes('ranks', toy_root, supernet, tmp_path / 'two', 2, free_port(), 'screening') == '0 0'
    assert lines(tmp_path / 'two') == lines(tmp_path / 'one')
    assert any('mIoU' not in c.metrics for c in read_archive(tmp_path / 'two' / 'search' / 'archive.jsonl'))


def test_an_evaluator_that_trains_gives_one_archive(toy_root: Path, supernet: Path, tmp_path: Path) -> None:
    """By one process, by two, and resumed after a kill."""
    one, two = tmp_path / 'one', tmp_path / 'two'
    cfg = learning(config('search', toy_root, one, **{'train_cfg.supernet': str(supernet)}))
    run(cfg.copy())
    whole, front = lines(one), fronts(one)
    assert len(whole) == 4 and len({line['metrics']['train_loss'] for line in whole}) > 1
    best = min(whole, key=lambda line: line['metrics']['train_loss'])
    assert best['archid'] in front[0]
    assert SearchFolder.find(one).score == 'mIoU', 'what trained networks are compared by'
    assert processes('ranks', toy_root, supernet, two, 2, free_port(), 'learning') == '0 0'
    assert lines(two) == whole and fronts(two) == front
    archive = one / 'search' / 'archive.jsonl'
    archive.write_bytes(b''.join(archive.read_bytes().splitlines(keepends=True)[:1]))
    cfg.resume = True
    run(cfg)
    assert lines(one) == whole and fronts(one) == front


def test_a_process_that_raises_marks_its_candidate(
    toy_root: Path, supernet: Path, searched: Path, tmp_path: Path
) -> None:
    assert processes('ranks', toy_root, supernet, tmp_path, 2, free_port(), 'raise') == '0 0'
    found = read_archive(tmp_path / 'search' / 'archive.jsonl')
    failed = [c for c in found if c.violations]
    assert [c.violations for c in failed] == [('evaluation failed: out of memory',)] and len(found) == 12
    alone = {c.archid: c.metrics for c in read_archive(searched / 'search' / 'archive.jsonl')}
    assert all(alone[c.archid] == c.metrics for c in found if c not in failed and c.archid in alone)


def test_a_process_that_dies_stops_the_search_and_its_work_is_kept(
    toy_root: Path, supernet: Path, searched: Path, tmp_path: Path
) -> None:
    codes = processes('ranks', toy_root, supernet, tmp_path, 2, free_port(), 'die')
    assert codes == '1 -9'
    said = re.search(r'another process of the search died \((.*)\); every', (tmp_path / 'rank0.txt').read_text())
    assert said
    assert mistake(RuntimeError(said[1])), 'a training that loses a process is told in a line too'
    noted = [line for path in (tmp_path / 'search' / 'pending').glob('*') for line in path.read_text().splitlines()]
    assert noted, 'finished evaluations of the broken generation are noted'
    cfg = config('search', toy_root, tmp_path, **{'train_cfg.supernet': str(supernet), 'resume': True})
    run(judged_by('Troubled', cfg, trouble='die', at=2, rank=1))  # goes on alone
    assert lines(tmp_path) == lines(searched) and fronts(tmp_path) == fronts(searched)


def test_a_gpu_that_fails_on_the_first_process_ends_them_all_and_marks_nothing(
    toy_root: Path, supernet: Path, tmp_path: Path
) -> None:
    assert processes('ranks', toy_root, supernet, tmp_path, 2, free_port(), 'gpu') == '1 1'
    assert 'the GPU of process 0 failed at candidate' in (tmp_path / 'rank0.txt').read_text()
    assert 'another process of the search died' in (tmp_path / 'rank1.txt').read_text()
    noted = [line for path in (tmp_path / 'search' / 'pending').glob('*') for line in path.read_text().splitlines()]
    assert noted and not any(json.loads(line)['failure'] for line in noted)


def test_processes_with_other_configs_refuse_to_start(toy_root: Path, supernet: Path, tmp_path: Path) -> None:
    assert processes('ranks', toy_root, supernet, tmp_path, 2, free_port(), 'disagree') == '1 1'
    told = (tmp_path / 'rank0.txt').read_text()
    assert "'GPU of another kind' on process 1; seed is 0 on process 0, 7 on process 1; start all of them" in told


def test_a_folder_that_is_being_searched_is_locked(toy_root: Path, supernet: Path, tmp_path: Path) -> None:
    lock = lock_folder(tmp_path / 'search')
    with pytest.raises(BlockingIOError, match='in use by another process .process'):
        run(config('search', toy_root, tmp_path, **{'train_cfg.supernet': str(supernet)}))
    lock.close()
    lock_folder(tmp_path / 'search').close()
