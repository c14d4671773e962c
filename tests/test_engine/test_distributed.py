"""Two processes on gloo: the same sub-networks, the same weights."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from mmengine.runner import Runner

from hyctas_mm.engine.hooks import SampleArchHook
from tests.ranks import in_ranks
from tests.tiny_jobs import config

pytestmark = pytest.mark.slow


def trained(folder: Path, root: str) -> list[str]:
    """The sub-networks of each step of a supernet, and a hash of its weights."""
    cfg = config('supernet', Path(root), folder)
    cfg.launcher, cfg.experiment_name = 'pytorch', 'distributed'
    # mmengine's default names a GPU
    cfg.model_wrapper_cfg = dict(type='MMDistributedDataParallel', device_ids=None, find_unused_parameters=True)
    seen = []
    before = SampleArchHook.before_train_iter

    def record(self: SampleArchHook, runner: Runner, *args: object, **kwargs: object) -> None:
        before(self, runner, *args, **kwargs)
        seen.append(runner.model.module.backbone.arch.archid)

    SampleArchHook.before_train_iter = record  # of this process alone
    runner = Runner.from_cfg(cfg)
    runner.train()
    weights = b''.join(p.detach().numpy().tobytes() for p in runner.model.module.parameters())
    return [*seen, hashlib.sha1(weights).hexdigest()]


def test_two_ranks_train_the_same_supernet(toy_root: Path, tmp_path: Path) -> None:
    first, second = in_ranks(f'{__name__}:trained', [2], tmp_path, root=str(toy_root))[2]
    assert first == second and len(first) == 5
