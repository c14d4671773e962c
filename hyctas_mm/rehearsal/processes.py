"""Command lines of Python in processes that have imported everything already."""

from __future__ import annotations

import gc
import os
import runpy
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import torch

PATIENCE_S = 600
"""A command is ended after this time, if no other is given."""


def prepare() -> None:
    """Makes this process one to fork from: imports what the first optimizer of each would, and spares each mmengine's
    layout of the configs that it logs, which take longer than two steps of a training.
    """
    import torch._dynamo  # noqa: F401
    import yapf.yapflib.yapf_api

    yapf.yapflib.yapf_api.FormatCode = lambda text, **_: (text, True)
    gc.freeze()  # mmengine collects garbage at every data set that it builds: not what is imported


def run_python(arguments: Sequence[str], folder: Path, log: Path, count: int = 0, patience_s: int = PATIENCE_S) -> int:
    """Runs what ``python ARGUMENTS`` does in forks of this process, which must have computed nothing: it would share
    its threads.

    Args:
        arguments: A script, or ``-m`` and a module, and its arguments.
        folder: Where.
        log: Gets what they print.
        count: Number of processes that find each other as those of torchrun do; 0 for one by itself.
        patience_s: After so many seconds each is ended.

    Returns:
        The first exit status that is not 0, else 0.
    """
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    group = dict(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), WORLD_SIZE=str(count), LOCAL_WORLD_SIZE=str(count))
    pids = []
    for rank in range(max(1, count)):
        pid = os.fork()
        if not pid:
            own = group | dict(RANK=str(rank), LOCAL_RANK=str(rank)) if count else {}
            os._exit(_child(arguments, folder, log, own, patience_s))
        pids.append(pid)
    statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    return next((status for status in statuses if status), 0)


def _child(arguments: Sequence[str], folder: Path, log: Path, environment: dict[str, str], patience_s: int) -> int:
    """The exit status of one process."""
    signal.alarm(patience_s)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for number in (1, 2):
        os.dup2(output, number)
    sys.stdout = sys.stderr = os.fdopen(output, 'w', buffering=1, encoding='utf-8', errors='replace')
    os.environ.update(environment)
    os.chdir(folder)
    torch.set_num_threads(1)
    try:
        if arguments[0] == '-m':
            sys.argv = list(arguments[1:])
            runpy.run_module(arguments[1], run_name='__main__', alter_sys=True)
        else:
            sys.argv = list(arguments)
            sys.path.insert(0, str(Path(arguments[0]).parent.absolute()))
            runpy.run_path(arguments[0], run_name='__main__')
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    return status


def run_torchrun(arguments: Sequence[str], folder: Path, log: Path, count: int, root: Path) -> int:
    """Runs a script in new processes by torchrun; arguments and result as of :func:`run_python`.

    Args:
        root: Of the project, which the processes import.
    """
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone', f'--nproc_per_node={count}', *arguments]
    path = os.pathsep.join(filter(None, [str(root), os.environ.get('PYTHONPATH')]))
    environment = os.environ | dict(PYTHONPATH=path, OMP_NUM_THREADS='1')
    with log.open('a', encoding='utf-8') as output:
        done = subprocess.run(
            command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT, timeout=PATIENCE_S
        )
    return done.returncode
