"""Candidates judged by the loss of a short training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner

from hyctas_mm.archs import Architecture
from hyctas_mm.evaluators import Job, Outcome, ShortTraining
from hyctas_mm.models.subnet import build_subnet
from tests.evaluators import LEARNING
from tests.tiny_jobs import config

pytestmark = pytest.mark.slow
OPTIONS = LEARNING | dict(calibration_batches=2)


@pytest.fixture
def runner(toy_root: Path, tmp_path: Path) -> Runner:
    return Runner.from_cfg(config('search', toy_root, tmp_path))


@pytest.fixture
def arch(runner: Runner) -> Architecture:
    found: Architecture = runner.train_loop.space.sample(np.random.default_rng(0), 2)
    return found


def judged(evaluator: ShortTraining, arch: Architecture) -> Outcome:
    (outcome,) = evaluator.evaluate([Job(arch, dict(macs_g=1.0))])
    return outcome


def test_the_mean_loss_of_the_main_head(runner: Runner, arch: Architecture) -> None:
    """Of all steps, by a training of one's own; whatever happened in between, the same again."""
    evaluator = ShortTraining(runner, **OPTIONS)
    outcome = judged(evaluator, arch)
    assert set(outcome.metrics) == {'aAcc', 'mIoU', 'mAcc', 'train_loss'}
    torch.rand(3)
    assert judged(evaluator, arch).metrics == outcome.metrics
    assert evaluator.scorer.score(evaluator.network(arch))['mIoU'] == outcome.metrics['mIoU']

    course = evaluator._course
    torch.manual_seed(0)
    network = build_subnet(course.cfg.model, arch, evaluator._base_channels)
    network.init_weights()
    network.to(memory_format=torch.channels_last).train()
    optimizer = build_optim_wrapper(network, course.cfg.optim_wrapper.copy())
    losses = network.train_step(next(course.batches(0)), optimizer)
    assert len([name for name in losses if 'loss' in name]) > 2, 'auxiliary heads have losses too'
    first = judged(ShortTraining(runner, **OPTIONS | dict(steps=1)), arch).metrics['train_loss']
    assert first == pytest.approx(float(losses['decode.loss_ce']), rel=1e-5) != outcome.metrics['train_loss']


def test_the_learning_rate_is_that_of_the_horizon(
    runner: Runner, arch: Architecture, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluator = ShortTraining(runner, **OPTIONS | dict(steps=4))
    rates, step = [], torch.optim.SGD.step

    def watched(self: torch.optim.SGD, *args: Any) -> Any:
        rates.append(self.param_groups[0]['lr'])
        return step(self, *args)

    monkeypatch.setattr(torch.optim.SGD, 'step', watched)
    judged(evaluator, arch)
    assert len(rates) == 4 and rates[0] == max(rates) and rates[3] < 0.5 * rates[0], 'falls until the fourth step'
    (first, again), other = (
        [next(evaluator._course.batches(5))['inputs'] for _ in range(2)],
        next(evaluator._course.batches(6))['inputs'],
    )
    assert all(map(torch.equal, first, again)) and not all(map(torch.equal, first, other))


def test_inherited_weights_are_where_it_begins(runner: Runner, arch: Architecture, supernet: Path) -> None:
    inherits, fresh = ShortTraining(runner, supernet, **OPTIONS), ShortTraining(runner, **OPTIONS)
    assert judged(inherits, arch).metrics['train_loss'] < judged(fresh, arch).metrics['train_loss']
    assert inherits.identity()['supernet_sha1'] and inherits.identity() != fresh.identity()


def test_wrong_arguments(runner: Runner) -> None:
    for wrong, message in (
        (dict(steps=0), r'steps=0, horizon=4; expected whole numbers from 1 up'),
        (dict(steps=5), r'steps=5, horizon=4; expected whole numbers from 1 up, the horizon no shorter'),
        (dict(options={'train_dataloader.dataset.indices': 12}), r'would be trained on 8 image\(s\)'),
    ):
        with pytest.raises(ValueError, match=message):
            ShortTraining(runner, **(OPTIONS | wrong))
