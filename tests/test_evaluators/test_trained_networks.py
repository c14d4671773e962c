from __future__ import annotations

import pytest
from mmengine.config import Config

from hyctas_mm.evaluators.trained_networks import mean_and_std, with_iters

SCHEDULE = dict(
    train_cfg=dict(type='IterBasedTrainLoop', max_iters=800),
    param_scheduler=[
        dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=100),
        dict(type='PolyLR', power=0.9, by_epoch=False, begin=100, end=800),
        dict(type='MultiStepLR', by_epoch=False, milestones=[400, 600]),
    ],
)


def test_the_schedule_is_scaled_with_the_steps() -> None:
    recipe = Config(SCHEDULE)
    cfg = with_iters(recipe, 200)
    warm_up, decay, steps = cfg.param_scheduler
    assert cfg.train_cfg.max_iters == 200
    assert (warm_up.begin, warm_up.end, decay.begin, decay.end, steps.milestones) == (0, 25, 25, 200, [100, 150])
    assert recipe.to_dict() == SCHEDULE
    assert with_iters(Config(SCHEDULE), 2).param_scheduler[0].end == 1
    assert with_iters(Config(SCHEDULE | dict(param_scheduler=None)), 2).train_cfg.max_iters == 2


def test_schedules_that_cannot_be_scaled() -> None:
    with pytest.raises(ValueError, match='--iters 0 with max_iters=800'):
        with_iters(Config(SCHEDULE), 0)
    with pytest.raises(ValueError, match='max_iters=None'):
        with_iters(Config(dict(train_cfg=dict(max_epochs=3))), 10)
    with pytest.raises(ValueError, match='the scheduler CosineAnnealingLR counts epochs'):
        with_iters(Config(SCHEDULE | dict(param_scheduler=dict(type='CosineAnnealingLR', T_max=3))), 10)


def test_mean_and_std() -> None:
    assert mean_and_std([1.0, 3.0]) == dict(mean=2.0, std=pytest.approx(2**0.5))
    assert mean_and_std([4.0]) == dict(mean=4.0, std=None)
