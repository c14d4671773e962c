"""Two processes on gloo: the same sub-networks, the same weights."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

WORKER = """
import hashlib, sys
import torch
import torch.distributed as dist
from pathlib import Path
from mmengine.runner import Runner
from hyctas_mm import register_all_modules
from tests.tiny_jobs import config
from hyctas_mm.engine.hooks import SampleArchHook

register_all_modules()
torch.set_num_threads(1)
dist.init_process_group("gloo")
root, work = sys.argv[1:]
cfg = config("supernet", Path(root), Path(work))
cfg.launcher, cfg.experiment_name = "pytorch", "distributed"
# mmengine's default names a GPU
cfg.model_wrapper_cfg = dict(type="MMDistributedDataParallel", device_ids=None, find_unused_parameters=True)
seen = []
before = SampleArchHook.before_train_iter
def record(self, runner, *args, **kwargs):
    before(self, runner, *args, **kwargs)
    seen.append(runner.model.module.backbone.arch.archid)
SampleArchHook.before_train_iter = record
runner = Runner.from_cfg(cfg)
runner.train()
weights = b"".join(p.detach().numpy().tobytes() for p in runner.model.module.parameters())
Path(work, f"rank{dist.get_rank()}.txt").write_text(" ".join(seen) + "\\n" + hashlib.sha1(weights).hexdigest())
"""


def test_two_ranks_train_the_same_supernet(toy_root: Path, tmp_path: Path) -> None:
    import yapf.yapflib.yapf_api  # noqa: F401  writes its grammar cache at first use, which two processes must not do at once

    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    root = Path(__file__).parents[2]
    environment = os.environ | dict(
        MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), WORLD_SIZE='2', OMP_NUM_THREADS='1', PYTHONPATH=str(root)
    )
    workers = [
        subprocess.Popen(
            [sys.executable, '-c', WORKER, str(toy_root), str(tmp_path)],
            env=environment | dict(RANK=str(rank), LOCAL_RANK=str(rank)),
            cwd=root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    outputs = [worker.communicate(timeout=300)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], outputs[0][-3000:] + outputs[1][-3000:]
    ranks = [(tmp_path / f'rank{rank}.txt').read_text() for rank in range(2)]
    assert ranks[0] == ranks[1] and len(ranks[0].split()) == 5
