"""Runs searches in processes that are killed, or that share the work.

A program of tests/forks.py, which forks again: a process is there at once. Its argument is a JSON list of a function's
name and what it takes; it prints what that returns.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from mmengine.registry import init_default_scope

from hyctas_mm.engine import search_loop, workers
from hyctas_mm.engine.candidate_costs import CandidateCosts
from tests.evaluators import judged_by, learning
from tests.ranks import in_child
from tests.synthetic import synthetic_costs
from tests.tiny_jobs import SCREENED, config, gradient_search, run


def fast_search(toy_root: str, supernet: str, work_dir: str) -> None:
    CandidateCosts._price = lambda self, arch: dict(synthetic_costs(arch), params_m=1.0)  # type: ignore[method-assign]
    options = {'train_cfg.supernet': supernet, 'train_cfg.population': 5, 'train_cfg.generations': 5}
    run(judged_by('ScoreOfId', config('search', Path(toy_root), Path(work_dir), resume=True, **options)))


def kill_at_random(toy_root: str, supernet: str, folder: str, kills: int) -> str:
    """Searches under a killer. Whenever one comes to its end, another begins, until so many were killed.

    One in four is killed while it prepares, the others after their first candidate: at a random instant, however fast
    the machine.
    """
    rng, killed, number = random.Random(0), 0, 0
    log = Path(folder) / 'log.txt'
    log.parent.mkdir(parents=True)
    started = Path(folder) / 'started'
    while True:
        started.unlink(missing_ok=True)
        pid = in_child(fast_search, toy_root, supernet, str(Path(folder) / f'run{number}'), log=log)
        early, wait = killed % 4 == 0, rng.uniform(0, 1)
        deadline = time.monotonic() + (wait if early else 600) if killed < kills else float('inf')
        done = 0
        while not done and time.monotonic() < deadline:
            done, status = os.waitpid(pid, os.WNOHANG)
            if killed < kills and not early and started.exists():
                early, deadline = True, time.monotonic() + wait / 2
            time.sleep(0.001)
        if not done:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            killed += 1
            continue
        if os.waitstatus_to_exitcode(status):
            sys.exit(log.read_text())
        if killed >= kills:
            break
        number += 1
    return f'{killed} killed, {number + 1} finished'


def one_rank(rank: int, size: int, port: int, toy_root: str, supernet: str, work_dir: str, trouble: str) -> None:
    os.environ.update(
        MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE=str(size), LOCAL_RANK=str(rank)
    )
    dist.init_process_group('gloo')
    cfg = config('search', Path(toy_root), Path(work_dir), **{'train_cfg.supernet': supernet, 'resume': True})
    if trouble == 'gradients':
        cfg = gradient_search(Path(toy_root), supernet, Path(work_dir))
    workers._collective = checked(workers._collective)
    cfg.launcher = 'pytorch'
    # mmengine's default names a GPU
    cfg.model_wrapper_cfg = dict(type='MMDistributedDataParallel', device_ids=None, find_unused_parameters=True)
    if trouble in ('raise', 'die', 'gpu'):
        at, where = {'raise': (1, 1), 'die': (2, 1), 'gpu': (2, 0)}[trouble]
        cfg = judged_by('Troubled', cfg, trouble=trouble, at=at, rank=where)
    if trouble == 'disagree' and rank == 1:
        cfg.train_cfg.seed = 7
        search_loop.device_name = lambda device: 'GPU of another kind'
    if trouble == 'learning':
        cfg = learning(cfg)
    if trouble == 'screening':
        cfg.merge_from_dict(SCREENED)
    run(cfg)


def checked(collective: Callable[..., Any]) -> Callable[..., Any]:
    """Refuses messages through a group that processes may not wait in for days."""

    def send(function: Any, data: Any, group: Any) -> Any:
        assert group is not dist.group.WORLD and group._get_backend(torch.device('cpu')).options._timeout.days >= 30
        return collective(function, data, group)

    return send


def ranks(toy_root: str, supernet: str, work_dir: str, size: int, port: int, trouble: str = '') -> str:
    """Searches with so many processes; how each ended."""
    logs = [Path(work_dir) / f'rank{rank}.txt' for rank in range(size)]
    Path(work_dir).mkdir(parents=True, exist_ok=True)
    pids = [
        in_child(one_rank, r, size, port, toy_root, supernet, work_dir, trouble, log=log) for r, log in enumerate(logs)
    ]
    return ' '.join(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])) for pid in pids)


if __name__ == '__main__':
    init_default_scope('mmseg')
    name, *arguments = json.loads(sys.argv[1])
    print(dict(kill=kill_at_random, ranks=ranks)[name](*arguments))
