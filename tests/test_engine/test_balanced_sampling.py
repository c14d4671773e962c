"""Steps of a supernet's training, shared out among the combinations of output strides."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyctas_mm.archs import SearchSpace
from hyctas_mm.engine.hooks.balanced_sample_arch_hook import BalancedSampleArchHook, balanced_arch
from tests.test_archs.test_search_space import spaces
from tests.tiny_jobs import SPACE, config, run


@given(spaces, st.integers(0, 2**16), st.integers(0, 50))
def test_every_combination_once_in_a_block(space: SearchSpace, seed: int, block: int) -> None:
    combinations = space.end_combinations()
    steps = range(block * len(combinations), (block + 1) * len(combinations))
    archs = [balanced_arch(space, seed, step) for step in steps]
    assert sorted(tuple(sorted(arch.output_strides)) for arch in archs) == sorted(combinations)
    assert not any(space.violations(arch) for arch in archs)
    assert archs == [balanced_arch(space, seed, step) for step in steps]


def test_the_rest_is_drawn_as_ever() -> None:
    space = SearchSpace(layers=6)
    archs = [balanced_arch(space, 0, step) for step in range(1400)]
    assert len({arch.archid for arch in archs}) > 1300
    widths = Counter(cell.width for arch in archs for branch in arch.branches for cell in branch[:-1])
    assert max(widths.values()) < 1.2 * min(widths.values())
    first = [tuple(sorted(arch.output_strides)) for arch in archs[::7]]
    assert max(Counter(first).values()) < 2 * min(Counter(first).values()), 'the order differs from block to block'


@pytest.mark.slow
def test_a_training(toy_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    original = BalancedSampleArchHook.before_train_iter

    def record(self, runner, *args, **kwargs):
        original(self, runner, *args, **kwargs)
        assert runner.model.backbone.arch == runner.model.decode_head.arch
        seen.append(runner.model.backbone.arch.archid)

    monkeypatch.setattr(BalancedSampleArchHook, 'before_train_iter', record)
    hooks = [dict(type='BalancedSampleArchHook', seed=3)]
    run(config('supernet', toy_root, tmp_path, custom_hooks=hooks, **{'train_cfg.max_iters': 3}))
    assert seen == [balanced_arch(SearchSpace(**SPACE), 3, step).archid for step in range(3)]
