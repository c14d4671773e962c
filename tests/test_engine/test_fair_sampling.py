from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyctas_mm.archs import SearchSpace
from hyctas_mm.engine.checkpoint import read_checkpoint
from hyctas_mm.engine.hooks import FairSampleArchHook
from hyctas_mm.engine.hooks.fair_sample_arch_hook import fair_arch
from hyctas_mm.engine.hooks.sample_arch_hook import CHECKPOINT_KEY
from tests.test_archs.test_search_space import spaces
from tests.tiny_jobs import SPACE, config, run


@given(spaces, st.integers(0, 2**16), st.integers(0, 50))
def test_every_op_once_at_every_place_of_a_block(space: SearchSpace, seed: int, block: int) -> None:
    ops = [op for op in space.ops if op != 'skip']
    archs = [fair_arch(space, seed, block * len(ops) + n) for n in range(len(ops))]
    assert not any(space.violations(a) for a in archs)
    skeletons = {tuple(tuple(cell.down for cell in branch) for branch in a.branches) for a in archs}
    assert len(skeletons) == 1
    for index, branch in enumerate(archs[0].branches):
        for layer in range(len(branch)):
            assert sorted(a.branches[index][layer].op for a in archs) == sorted(ops)


def test_ops_are_used_equally_often_over_a_training() -> None:
    space = SearchSpace(layers=6)
    used = Counter(
        (n, cell.down, cell.op)
        for step in range(400)
        for b in fair_arch(space, 0, step).branches
        for n, cell in enumerate(b)
    )
    for layer, down, _ in list(used):
        assert len({used[layer, down, op] for op in ('conv', 'lite_conv', 'lite_conv_2x', 'attention')}) == 1


def test_the_prior_is_kept() -> None:
    space = SearchSpace(layers=6)
    archs = [fair_arch(space, 0, step) for step in range(0, 8000, 4)]
    shares = [sum(len(a.branches) == n for a in archs) / len(archs) for n in (1, 2, 3)]
    assert shares == pytest.approx([0.2, 0.3, 0.5], abs=0.03)
    widths = Counter(cell.width for a in archs for branch in a.branches for cell in branch[:-1])
    assert max(widths.values()) < 1.1 * min(widths.values())


def test_blocks_and_seeds_differ() -> None:
    space = SearchSpace()
    archs = [fair_arch(space, seed, step) for seed in (0, 1) for step in range(40)]
    assert len({a.archid for a in archs}) == 80
    assert fair_arch(space, 0, 17) == fair_arch(space, 0, 17)


@pytest.mark.slow
def test_resumed_training_sees_the_same_architectures(
    toy_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    original = FairSampleArchHook.before_train_iter

    def record(self, runner, *args, **kwargs):
        original(self, runner, *args, **kwargs)
        assert runner.model.backbone.arch == runner.model.decode_head.arch
        seen.append(runner.model.backbone.arch.archid)

    monkeypatch.setattr(FairSampleArchHook, 'before_train_iter', record)
    options = {'custom_hooks': [dict(type='FairSampleArchHook', seed=3)], 'default_hooks.checkpoint.interval': 2}
    run(config('supernet', toy_root, tmp_path, **options, **{'train_cfg.max_iters': 2}))
    run(config('supernet', toy_root, tmp_path, **options, resume=True))
    space = SearchSpace(**SPACE)
    assert seen == [fair_arch(space, 3, step).archid for step in range(4)]
    assert read_checkpoint(tmp_path / 'iter_4.pth')[CHECKPOINT_KEY] == dict(seed=3, search_space=space.to_dict())
