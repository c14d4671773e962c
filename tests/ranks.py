"""Runs a function in several processes that form a gloo group, on a machine without a GPU.

The program is one of tests/forks.py, and forks again: all processes are there at once.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from mmengine.registry import init_default_scope

from tests import forks


def in_ranks(function: str, sizes: Sequence[int], folder: Path, **options: Any) -> dict[int, list[Any]]:
    """What ``module:function`` returns in each process, for each number of processes.

    Args:
        function: Its module, which the program imports, and its name.
        sizes: Numbers of processes, one after the other.
        folder: For files; the function gets one of its own, made, as ``folder``.
        **options: The function's other arguments, as JSON has them.
    """
    done = forks.run('-m', 'tests.ranks', function, json.dumps(list(sizes)), folder, json.dumps(options))
    logs = [path.read_text()[-3000:] for path in sorted(folder.glob('log*.txt'))]
    assert done.returncode == 0, '\n'.join([done.stdout[-3000:], *logs])
    return {
        size: [torch.load(folder / f'{size}_{rank}.pt', weights_only=False) for rank in range(size)] for size in sizes
    }


def in_child(function: Callable[..., None], *args: Any, log: Path) -> int:
    """Forks; the child writes to ``log`` and ends with 0 if nothing was raised."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout = sys.stderr = os.fdopen(output, 'w', buffering=1)
        torch.set_num_threads(1)
        function(*args)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _member(function: Any, rank: int, size: int, folder: Path, options: dict[str, Any]) -> None:
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(size), LOCAL_RANK=str(rank), CUDA_VISIBLE_DEVICES='')
    dist.init_process_group('gloo', init_method=f'file://{folder}/store{size}', rank=rank, world_size=size)
    own = folder / f'{size}'
    own.mkdir(exist_ok=True)
    torch.save(function(folder=own, **options), folder / f'{size}_{rank}.pt')


def main() -> None:
    init_default_scope('mmseg')
    name, sizes, folder, options = sys.argv[1:]
    module, attribute = name.split(':')
    function = getattr(importlib.import_module(module), attribute)
    for size in json.loads(sizes):
        pids = [
            in_child(
                *(_member, function, rank, size, Path(folder), json.loads(options)),
                log=Path(folder) / f'log{size}_{rank}.txt',
            )
            for rank in range(size)
        ]
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
        if any(codes):
            sys.exit(f'{size} processes ended with {codes}')


if __name__ == '__main__':
    main()
