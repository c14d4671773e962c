"""Candidates trained for some steps before they are scored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.runner import Runner

from hyctas_mm.evaluators import FineTuned, InheritedWeights, Job
from hyctas_mm.evaluators.fine_tuned import lr_factor
from tests.tiny_jobs import config


@pytest.fixture
def runner(toy_root: Path, supernet: Path, tmp_path: Path) -> Runner:
    runner = Runner.from_cfg(config('search', toy_root, tmp_path, **{'train_cfg.supernet': str(supernet)}))
    assert runner.train_loop and runner.val_loop
    return runner


def test_a_candidate_scores_the_same_at_any_time(runner: Runner, supernet: Path) -> None:
    evaluator, plain = FineTuned(runner, supernet, steps=3, lr=0.01), InheritedWeights(runner, supernet)
    space, rng = runner.train_loop.space, np.random.default_rng(0)
    jobs = [Job(space.sample(rng, n), {}) for n in (1, 2, 3)]
    before = {name: value.clone() for name, value in runner.model.state_dict().items()}
    scores = [outcome.metrics for outcome in evaluator.evaluate(jobs)]
    torch.rand(5)  # whatever happened in between
    assert [outcome.metrics for outcome in evaluator.evaluate(jobs[::-1])] == scores[::-1]
    assert all(torch.equal(value, before[name]) for name, value in runner.model.state_dict().items())
    assert evaluator.identity() == FineTuned(runner, supernet, steps=3, lr=0.01).identity()
    assert evaluator.identity()['trained_on_sha1'] != FineTuned(runner, supernet, steps=4).identity()['trained_on_sha1']
    tuned, inherited = (e.network(jobs[0].arch).state_dict() for e in (evaluator, plain))
    assert not any(
        torch.equal(tuned[n], w) for n, w in inherited.items() if n.endswith('conv.weight') and 'aux' not in n
    )


def test_its_steps_lower_the_loss(runner: Runner, supernet: Path) -> None:
    evaluator = FineTuned(runner, supernet, steps=12, lr=0.02)
    arch = runner.train_loop.space.sample(np.random.default_rng(1), 1)

    def loss(network: torch.nn.Module) -> float:
        found = []
        for batch in evaluator._batches[:3]:
            data = network.data_preprocessor(batch, True)
            found.append(float(network.parse_losses(network.train()(**data, mode='loss'))[0]))
        return float(np.mean(found))

    assert loss(evaluator.network(arch)) < loss(InheritedWeights(runner, supernet).network(arch))


def test_wrong_arguments(runner: Runner, supernet: Path) -> None:
    with pytest.raises(ValueError, match=r'steps=0; expected'):
        FineTuned(runner, supernet, steps=0)
    with pytest.raises(ValueError, match=r'lr=-1; expected'):
        FineTuned(runner, supernet, lr=-1)


def test_the_learning_rate_rises_and_falls() -> None:
    factors = [lr_factor(step, 20) for step in range(20)]
    assert np.argmax(factors) == 4 and 0 < factors[-1] < 0.1 and factors[0] == pytest.approx(0.2)
    assert lr_factor(0, 1) == 1
