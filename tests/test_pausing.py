"""Trainings wait while another process times networks; a killed process keeps nobody waiting."""

from __future__ import annotations

import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hyctas_mm import files
from hyctas_mm.engine.configs import build_runner
from hyctas_mm.engine.hooks import PauseHook
from tests.tiny_jobs import config

LONG = 60
"""Seconds after which a process hangs."""
SOME = 0.3
"""Seconds in which a process that may go on does."""
CHILD = """
import sys
from pathlib import Path
from hyctas_mm import files
files.MACHINE, files.PATIENCE = Path(sys.argv[1]), float(sys.argv[2])
timing = None
for line in sys.stdin:
    if line == 'step\\n':
        files.begin_step()
    elif line == 'stepped\\n':
        files.end_step()
    elif line == 'time\\n':
        timing = files.alone()
        timing.__enter__()
    else:
        timing.__exit__(None, None, None)
    print(line, end='', flush=True)
"""


class Process:
    """Another process, which does what it is told to: ``step``, ``stepped``, ``time``, ``timed``."""

    def __init__(self, patience: float = LONG) -> None:
        command = [sys.executable, '-c', CHILD, str(files.MACHINE), str(patience)]
        self.popen = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def begin(self, what: str) -> None:
        print(what, file=self.popen.stdin, flush=True)

    def has_done(self, what: str, seconds: float = LONG) -> bool:
        if not select.select([self.popen.stdout], [], [], seconds)[0]:
            return False
        assert self.popen.stdout.readline() == what + '\n'
        return True

    def does(self, what: str, seconds: float = LONG) -> bool:
        self.begin(what)
        return self.has_done(what, seconds)

    def kill(self) -> None:
        self.popen.kill()
        self.popen.communicate()


@pytest.fixture
def processes() -> Iterator[tuple[Process, Process, Process]]:
    started = Process(), Process(), Process()
    yield started
    for process in started:
        process.kill()


def test_nothing_waits_while_nothing_is_timed(processes: tuple[Process, Process, Process]) -> None:
    one, other, _ = processes
    assert one.does('step') and other.does('step') and one.does('stepped') and one.does('step')


def test_no_step_begins_while_something_is_timed(processes: tuple[Process, Process, Process]) -> None:
    training, timing, _ = processes
    assert training.does('step') and training.does('stepped') and timing.does('time')
    assert not training.does('step', SOME)
    assert timing.does('timed') and training.has_done('step')


def test_timing_begins_when_the_steps_under_way_have_ended(processes: tuple[Process, Process, Process]) -> None:
    """And however many trainings step in turn, it does begin."""
    one, other, timing = processes
    assert one.does('step') and other.does('step')
    assert not timing.does('time', SOME)
    assert one.does('stepped') and not one.does('step', SOME)
    assert not timing.has_done('time', SOME)
    assert other.does('stepped') and timing.has_done('time')
    assert timing.does('timed') and one.has_done('step')


@pytest.mark.parametrize(('killed', 'waiting'), [('step', 'time'), ('time', 'step'), ('time', 'time')])
def test_a_killed_process_frees_the_machine(
    killed: str, waiting: str, processes: tuple[Process, Process, Process]
) -> None:
    one, other, _ = processes
    assert one.does(killed) and not other.does(waiting, SOME)
    one.kill()
    assert other.has_done(waiting)


def test_a_training_stopped_within_a_step_is_not_waited_for_without_end(
    processes: tuple[Process, Process, Process],
) -> None:
    training, impatient = processes[0], Process(patience=SOME)
    assert training.does('step')
    training.popen.send_signal(signal.SIGSTOP)
    assert impatient.does('time') and impatient.does('timed')
    impatient.kill()


def test_a_failed_step_does_not_hold_its_own_process_up(processes: tuple[Process, Process, Process]) -> None:
    one, other, _ = processes
    assert one.does('step') and one.does('step') and one.does('time') and one.does('timed') and other.does('time')


@pytest.mark.parametrize('mode', ['train', 'val', 'test'])
def test_hook(mode: str, processes: tuple[Process, Process, Process]) -> None:
    hook, timing = PauseHook(), processes[0]
    getattr(hook, f'before_{mode}_iter')(None, 0)
    assert not timing.does('time', SOME)
    getattr(hook, f'after_{mode}_iter')(None, 0)
    assert timing.has_done('time')


def test_runners_have_it(toy_root: Path, tmp_path: Path) -> None:
    runner = build_runner(config('subnet', toy_root, tmp_path), 'train')
    assert [type(hook) for hook in runner.hooks].count(PauseHook) == 1
