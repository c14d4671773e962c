"""Candidates trained from scratch up to a rung."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.runner import Runner

from hyctas_mm.archs import Architecture
from hyctas_mm.evaluators import Job, Outcome, ShortTraining
from hyctas_mm.search.promotion import Promotion
from tests.evaluators import LEARNING
from tests.tiny_jobs import config

pytestmark = pytest.mark.slow
OPTIONS = LEARNING['ShortTraining'] | dict(rungs=[1, 2, 4], calibration_batches=2)


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


def promote(evaluator: ShortTraining, monkeypatch: pytest.MonkeyPatch, until: int) -> None:
    """All candidates are trained on until so many steps."""
    monkeypatch.setattr(Promotion, 'promotes', lambda self, archid, costs, value, steps, found: steps < until)


def test_left_and_gone_on_with(
    runner: Runner, arch: Architecture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluator = ShortTraining(runner, **OPTIONS)
    promote(evaluator, monkeypatch, 1)
    early = judged(evaluator, arch)
    assert set(early.metrics) == {'aAcc', 'mIoU', 'mAcc', 'mIoU_at_1'}
    weights = tmp_path / 'short_training' / f'{arch.archid}.pth'
    first = torch.load(weights, weights_only=True)
    promote(evaluator, monkeypatch, 4)
    torch.rand(3)  # whatever happened in between
    outcome = judged(evaluator, arch)
    left = torch.load(weights, weights_only=True)
    assert (first['step'], left['step']) == (1, 4)
    weights.unlink()
    at_once = judged(evaluator, arch)
    whole = torch.load(weights, weights_only=True)
    assert outcome.metrics == at_once.metrics and outcome.metrics['mIoU_at_1'] == early.metrics['mIoU']
    assert outcome.metrics['mIoU'] == outcome.metrics['mIoU_at_4']
    assert all(torch.equal(whole['network'][name], value) for name, value in left['network'].items())
    scored = evaluator.scorer.score(evaluator.network(arch))
    assert scored['mIoU'] == outcome.metrics['mIoU']


def test_the_learning_rate_is_that_of_the_last_rung(runner: Runner, arch: Architecture) -> None:
    evaluator = ShortTraining(runner, **OPTIONS)
    training, _ = evaluator._open(arch)
    rates = []
    for step in range(1, 5):
        training.train(step)
        rates.append(training._optimizer.get_lr()['lr'][0])
    assert rates[0] == max(rates) and rates[2] < 0.5 * rates[0], 'falls until the fourth step'
    (first, again), other = (
        [next(evaluator._course.batches(5))['inputs'] for _ in range(2)],
        next(evaluator._course.batches(6))['inputs'],
    )
    assert all(map(torch.equal, first, again)) and not all(map(torch.equal, first, other))


def test_inherited_weights_are_where_it_begins(runner: Runner, arch: Architecture, supernet: Path) -> None:
    inherits = ShortTraining(runner, supernet, **OPTIONS)
    (inherited, _), (fresh, _) = inherits._open(arch), ShortTraining(runner, **OPTIONS)._open(arch)
    name = next(n for n, p in fresh.network.named_parameters() if p.dim() == 4)
    assert not torch.equal(inherited.network.state_dict()[name], fresh.network.state_dict()[name])
    other = ShortTraining(runner, **OPTIONS)._open(arch)[0].network.state_dict()
    assert all(torch.equal(value, other[n]) for n, value in fresh.network.state_dict().items())
    assert inherits.identity()['supernet_sha1'] and inherits.identity() != ShortTraining(runner, **OPTIONS).identity()


def test_each_step_computes_with_the_weights_of_the_step_before(runner: Runner, arch: Architecture) -> None:
    """Autocast keeps converted weights while its context is open: one around all steps would train the first."""
    changed = OPTIONS.get('options', {}) | {'optim_wrapper.type': 'Bfloat16OptimWrapper'}
    options = OPTIONS | dict(amp='bfloat16', options=changed)
    evaluator = ShortTraining(runner, **options)
    training, _ = evaluator._open(arch)
    batch = next(training._course.batches(0))
    seen = []
    step = training.network.train_step
    training.network.train_step = lambda *args: seen.append(float(step(copy.deepcopy(batch), args[1])['loss']))
    evaluator._climb(training, 4, {}, arch.archid)
    assert len(set(seen)) == 4


def test_wrong_arguments(runner: Runner) -> None:
    for wrong, message in (
        (dict(rungs=[30, 30]), r'rungs=\[30, 30\]; expected ascending'),
        (dict(rungs=[]), 'expected ascending'),
        (dict(reduction=1), 'reduction=1; expected a whole number from 2 up'),
        (dict(options={'train_dataloader.dataset.indices': 12}), r'would be trained on 8 image\(s\)'),
    ):
        with pytest.raises(ValueError, match=message):
            ShortTraining(runner, **(OPTIONS | wrong))
