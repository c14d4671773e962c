"""Programs of ours in forks of a process that has imported everything and computed nothing.

They do what ``python ...`` does, without the 5 to 10 s of processor time in which a new process imports PyTorch and the
frameworks. tests/conftest.py forks that process, the server, from each process of pytest before its first test; no
thread and no state of a test is inherited. What a new process does by itself (imports, registration) they do not show:
programs are started as a user does in test_imports.py, test_mistakes.py, test_notebook.py and test_pipeline.py, and by
torchrun in test_rehearsal.py.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TextIO

from hyctas_mm.rehearsal.processes import PATIENCE_S, prepare, run_python

ROOT = Path(__file__).parents[1]
_server: list[TextIO] = []
"""The connection to it."""


def start_server() -> None:
    """Forks the server, which ends with this process."""
    ours, theirs = socket.socketpair()
    if os.fork():
        theirs.close()
        _server[:] = [ours.makefile('rw')]
        return
    try:
        ours.close()
        _serve(theirs.makefile('rw'))
    finally:
        os._exit(0)


def _serve(connection: TextIO) -> None:
    for number, line in enumerate(connection):
        if not number:
            prepare()
        asked = json.loads(line)
        os.environ.clear()
        os.environ.update(asked['environment'])
        folder, log = Path(asked['folder']), Path(asked['log'])
        print(run_python(asked['arguments'], folder, log, asked['count'], asked['patience_s']), file=connection)
        connection.flush()


def run(
    *arguments: object, cwd: Path = ROOT, count: int = 0, patience_s: int = PATIENCE_S, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs what ``python ARGUMENTS`` does.

    Args:
        *arguments: A script, or ``-m`` and a module, and its arguments.
        cwd: Where.
        count: Number of processes that find each other as those of torchrun do; 0 for one by itself.
        patience_s: After so many seconds it is ended.
        **environment: Variables beside those of this process.

    Returns:
        As of ``subprocess.run``; ``stdout`` has the errors too.
    """
    words = [str(argument) for argument in arguments]
    with tempfile.NamedTemporaryFile(suffix='.txt') as log:
        asked = dict(arguments=words, folder=str(cwd), log=log.name, count=count, patience_s=patience_s)
        print(json.dumps(asked | dict(environment={**os.environ, **environment})), file=_server[0])
        _server[0].flush()
        status = int(_server[0].readline())
        return subprocess.CompletedProcess(words, status, Path(log.name).read_text(errors='replace'))
