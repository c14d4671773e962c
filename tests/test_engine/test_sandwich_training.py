from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper

from hyctas_mm.archs import SearchSpace
from hyctas_mm.archs.extremes import largest
from hyctas_mm.engine.checkpoint import load_supernet, read_checkpoint
from hyctas_mm.engine.hooks import SandwichSampleArchHook
from hyctas_mm.registry import MODELS
from tests.conftest import supernet_cfg
from tests.test_models.test_sandwich_segmentor import SMALL, archs_of, batch, build
from tests.tiny_jobs import SPACE, config, run

HOOKS = [dict(type='SandwichSampleArchHook', num_random=1)]


def test_the_architectures_of_a_step() -> None:
    space, hook = SearchSpace(layers=6), SandwichSampleArchHook(num_random=2, seed=5)
    steps = [hook.archs_of(space, step) for step in range(20)]
    assert steps == [SandwichSampleArchHook(num_random=2, seed=5).archs_of(space, step) for step in range(20)]
    assert steps != [SandwichSampleArchHook(num_random=2, seed=6).archs_of(space, step) for step in range(20)]
    for first, second, *others in steps:
        assert [len(b) for b in first.branches] == [len(b) for b in largest(space).branches]
        assert len(second.branches) == 1 and len(second.cells) <= 3 and len(others) == 2
    assert len({a.archid for step in steps for a in step}) > 65, 'ops are drawn anew'
    assert SandwichSampleArchHook(num_random=0, seed=5).archs_of(space, 0) == steps[0][:2]


@pytest.mark.slow
def test_a_supernet_is_trained_and_found_by_the_search(
    toy_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted once; the search's model is an EncoderDecoder."""
    seen: list[tuple[str, ...]] = []
    original = SandwichSampleArchHook.before_train_iter

    def record(self, runner, *args, **kwargs):
        original(self, runner, *args, **kwargs)
        seen.append(tuple(a.archid for a in runner.model.step_archs))

    monkeypatch.setattr(SandwichSampleArchHook, 'before_train_iter', record)
    options = {'model.type': 'SandwichSegmentor', 'custom_hooks': HOOKS, 'default_hooks.checkpoint.interval': 2}
    runner = run(config('supernet', toy_root, tmp_path, **options, **{'train_cfg.max_iters': 2}))
    assert runner.model.step_archs == ()
    run(config('supernet', toy_root, tmp_path, **options, resume=True))
    space, hook = SearchSpace(**SPACE), SandwichSampleArchHook()
    assert seen == [tuple(a.archid for a in hook.archs_of(space, step)) for step in range(4)]
    state = read_checkpoint(tmp_path / 'iter_4.pth')['state_dict']
    assert all(torch.isfinite(v).all() for v in state.values())
    model = MODELS.build(config('supernet', toy_root, tmp_path).model)
    load_supernet(model, tmp_path / 'iter_4.pth', space)


@pytest.mark.slow
def test_under_the_distributed_wrapper(tmp_path: Path) -> None:
    """One process: its wrapper trains the same as the bare model, and marks every parameter ready once."""
    models = [build(), build()]
    for model in models:
        model.step_archs = archs_of()
    dist.init_process_group('gloo', init_method=f'file://{tmp_path / "store"}', rank=0, world_size=1)
    try:
        wrapped = MMDistributedDataParallel(models[1], find_unused_parameters=True)
        for net in (models[0], wrapped):
            for _ in range(2):
                optim = OptimWrapper(torch.optim.SGD(net.parameters(), lr=0.1))
                log = net.train_step(batch(), optim)
    finally:
        dist.destroy_process_group()
    assert {'loss', 'student0.loss_distill', 'largest.decode.loss_ce'} <= log.keys()
    for name, parameter in models[0].named_parameters():
        torch.testing.assert_close(parameter, models[1].get_parameter(name), msg=name)


@pytest.mark.slow
def test_mistakes(toy_root: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"model.type='SandwichSegmentor', got EncoderDecoder"):
        run(config('supernet', toy_root, tmp_path, custom_hooks=HOOKS))
    with pytest.raises(ValueError, match='num_random=-1'):
        SandwichSampleArchHook(num_random=-1)


def test_the_default_model_is_not_touched() -> None:
    assert not hasattr(MODELS.build(supernet_cfg(SMALL)), 'step_archs')
