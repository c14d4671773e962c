from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hyctas_mm.archs import SearchSpace
from hyctas_mm.engine.checkpoint import read_checkpoint
from hyctas_mm.engine.hooks import SampleArchHook
from hyctas_mm.engine.hooks.sample_arch_hook import CHECKPOINT_KEY
from tests.tiny_jobs import SPACE, config, run


def recorded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    seen: list[str] = []
    original = SampleArchHook.before_train_iter

    def record(self, runner, *args, **kwargs):
        original(self, runner, *args, **kwargs)
        assert runner.model.backbone.arch == runner.model.decode_head.arch
        seen.append(runner.model.backbone.arch.archid)

    monkeypatch.setattr(SampleArchHook, 'before_train_iter', record)
    return seen


def test_checkpoint_carries_space_and_seed(supernet: Path) -> None:
    saved = read_checkpoint(supernet)[CHECKPOINT_KEY]
    assert saved == dict(seed=0, search_space=SearchSpace(**SPACE).to_dict())


@pytest.mark.slow
def test_resumed_training_sees_the_same_architectures(
    toy_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = recorded(monkeypatch)
    options = {'default_hooks.checkpoint.interval': 2}
    run(config('supernet', toy_root, tmp_path / 'whole', **options))
    whole = list(seen)
    space = SearchSpace(**SPACE)
    assert whole == [space.sample(np.random.default_rng([0, i])).archid for i in range(4)]
    seen.clear()
    run(config('supernet', toy_root, tmp_path / 'parts', **options, **{'train_cfg.max_iters': 2}))
    run(config('supernet', toy_root, tmp_path / 'parts', **options, resume=True))
    assert seen == whole
    for part in ('whole', 'parts'):
        state = read_checkpoint(tmp_path / part / 'iter_4.pth')['state_dict']
        assert all(torch.isfinite(v).all() for v in state.values())


def test_a_checkpoint_of_another_space_is_refused(toy_root: Path, supernet: Path, tmp_path: Path) -> None:
    other = dict(layers=5, base_channels=4)
    cfg = config('supernet', toy_root, tmp_path, load_from=str(supernet))
    cfg.model.backbone.search_space = cfg.model.decode_head.search_space = other
    with pytest.raises(ValueError, match='another search space .layers: 4 there, 5 here'):
        run(cfg)


def test_parts_of_different_spaces_are_refused(toy_root: Path, tmp_path: Path) -> None:
    cfg = config('supernet', toy_root, tmp_path)
    cfg.model.decode_head.search_space = dict(layers=5, base_channels=4)
    with pytest.raises(ValueError, match='different search spaces'):
        run(cfg)


def test_files_that_are_no_checkpoints(tmp_path: Path, supernet: Path) -> None:
    with pytest.raises(FileNotFoundError, match='train the network first'):
        read_checkpoint(tmp_path / 'none.pth')
    (tmp_path / 'torn.pth').write_bytes(supernet.read_bytes()[:2000])
    with pytest.raises(ValueError, match='cannot be read as a checkpoint'):
        read_checkpoint(tmp_path / 'torn.pth')
    torch.save([1, 2], tmp_path / 'list.pth')
    with pytest.raises(ValueError, match='expected a checkpoint'):
        read_checkpoint(tmp_path / 'list.pth')


class Planted:
    def __reduce__(self) -> tuple:
        return (getattr, (str, 'upper'))


def test_nothing_in_a_checkpoint_is_run(tmp_path: Path) -> None:
    torch.save(dict(state_dict={}, planted=Planted()), tmp_path / 'planted.pth')
    with pytest.raises(ValueError, match='holds an object of str, not only tensors'):
        read_checkpoint(tmp_path / 'planted.pth')
