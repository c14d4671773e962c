"""Choices learned by gradients, on landscapes whose best architectures are known."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from hyctas_mm.archs import Architecture, Cell, SearchSpace
from hyctas_mm.engine.choices import Choices
from hyctas_mm.engine.cost_losses import CostLoss
from hyctas_mm.engine.gradient_search import GradientSearch
from hyctas_mm.models.alternatives import Alternatives
from hyctas_mm.models.subnet import searchable_parts, set_arch
from tests.conftest import DETAILED, WIDE, supernet_cfg
from tests.synthetic import MACS_OF_OP

SMALL = SearchSpace(layers=4, max_branches=1, ops=('skip', 'conv', 'lite_conv'), widths=(4, 8, 12), base_channels=4)
VALUE = {'conv': 1.0, 'lite_conv': 0.5}


def macs(arch: Architecture) -> float:
    return sum(MACS_OF_OP[p.cell.op] * p.width_in * p.cell.width / 144 for p in arch.cells)


def synthetic_loss(arch: Architecture, alternatives: Alternatives, step: int) -> Tensor:
    """Falls with every channel of every cell: a map is as many numbers as its width, of the op's value."""
    gain = torch.zeros(())
    for placed in arch.cells:

        def compute(cell: Cell) -> Tensor:
            return torch.full((1, cell.width, 1, 1), VALUE[cell.op] / 12)

        gain = gain + alternatives.mix(placed, compute, lambda width: width).sum()
    return 4 * (-gain / 2).exp()


def learned(form: str, budget: float, steps: int = 120, weight: float = 2.0, **options: object) -> GradientSearch:
    search = GradientSearch(
        Choices(SMALL, 1, **options), synthetic_loss, macs, CostLoss(form, budget, weight), seed=3, lr=0.2
    )
    for _ in range(steps):
        search.step()
    return search


def test_finds_the_best_where_nothing_binds() -> None:
    arch = learned('hinge', 1000.0).choices.likeliest()
    assert {c.op for c in arch.branches[0]} == {'conv'} and len(arch.branches[0]) == 4
    assert {c.width for c in arch.branches[0]} == {12}


@pytest.mark.parametrize(('form', 'weight'), [('hinge', 4.0), ('adaptive', 2.0), ('log', 0.5)])
def test_meets_a_budget_that_binds(form: str, weight: float) -> None:
    search = learned(form, 8.0, weight=weight)
    assert search.history.expected[-1] < 8 * 1.15
    found = search.found(3)
    assert found and all(macs(arch) <= 8 for arch in found)
    rng = np.random.default_rng(0)
    others = [arch for arch in (SMALL.sample(rng, 1) for _ in range(400)) if macs(arch) <= 8]
    best = min(float(synthetic_loss(a, Alternatives({}), 0)) for a in found)
    rank = sum(float(synthetic_loss(a, Alternatives({}), 0)) < best for a in others) / len(others)
    assert rank < 0.1, f'{rank:.0%} of random architectures within the budget are better'
    assert np.mean(search.history.entropy[-20:]) < 0.7 * search.history.entropy[0]


def test_an_adaptive_weight_presses_only_beyond_the_budget() -> None:
    loss = CostLoss('adaptive', 8.0, 1.0)
    loss.adapt(16.0)
    assert loss.weight == pytest.approx(1.1)
    cost = torch.tensor([4.0, 16.0], requires_grad=True)
    loss(cost).sum().backward()
    assert cost.grad.tolist() == pytest.approx([0, 1.1 / 8])
    for _ in range(3):
        loss.adapt(4.0)
    assert loss.weight == 1.0


def test_the_same_seed_finds_the_same_and_a_saved_search_goes_on(tmp_path: Path) -> None:
    whole = learned('adaptive', 8.0, steps=6, guide=True)
    first = learned('adaptive', 8.0, steps=3, guide=True)
    first.save(tmp_path / 'a.pth')
    later = learned('adaptive', 8.0, steps=0, guide=True)
    later.load(tmp_path / 'a.pth')
    for _ in range(3):
        later.step()
    assert later.history == whole.history and later.cost_loss.weight == whole.cost_loss.weight
    for name, value in whole.choices.state_dict().items():
        torch.testing.assert_close(later.choices.state_dict()[name], value, rtol=0, atol=0)
    assert later.found(3) == whole.found(3)


def test_gradients_by_ops_and_widths_are_those_of_the_expected_loss() -> None:
    """One cell whose loss is linear in its map: the mean over all that may be drawn is the exact gradient."""
    space = SearchSpace(layers=4, ops=('conv', 'lite_conv', 'attention'), widths=(4, 8, 12), max_branches=1)
    choices = Choices(space, 1)
    torch.manual_seed(1)
    choices.logits.data.normal_()
    worth = dict(conv=1.0, lite_conv=-0.5, attention=2.0)
    op, width = int(choices.ops[0, 0]), int(choices.widths[0, 0])

    def value(cell: Cell) -> float:
        return worth[cell.op] * cell.width / 12

    probs = choices.scores().softmax(1)
    exact = sum(
        probs[op, i] * probs[width, j] * value(Cell(space.ops[i], space.widths[j]))
        for i, j in itertools.product(range(3), range(3))
    )
    (want,) = torch.autograd.grad(exact, choices.logits)
    base = choices.draw(np.random.default_rng(0))
    got = torch.zeros_like(want)
    for a, b, c, d in itertools.product(range(3), repeat=4):
        if a == b or c == d:
            continue
        genes, seconds = base.genes.copy(), base.seconds.copy()
        genes[[op, width]], seconds[[op, width]] = (a, c), (b, d)
        draw = type(base)(genes, seconds, base.stops, space.decode(genes, 1))
        placed = draw.arch.cells[0]
        y = choices.alternatives(draw).mix(
            placed, lambda cell: torch.full((1, cell.width, 1, 1), worth[cell.op] / 12), lambda w: w
        )
        assert math.isclose(y.sum().item(), value(placed.cell), rel_tol=1e-5)
        p = probs.detach()
        chance = p[op, a] * p[op, b] / (1 - p[op, a]) * p[width, c] * p[width, d] / (1 - p[width, c])
        got += chance * torch.autograd.grad(y.sum(), choices.logits)[0]
    torch.testing.assert_close(got[op], want[op])
    torch.testing.assert_close(got[width], want[width])


@pytest.mark.parametrize('shared', [False, True])
def test_the_gradient_of_the_expected_cost_is_exact(shared: bool) -> None:
    """The mean over draws of one choice's gradient against that of the mean price, changed by a little."""
    choices = Choices(SMALL, 1, shared)
    rng = np.random.default_rng(0)
    total = torch.zeros_like(choices.stop)
    for _ in range(120):
        cost, _ = choices.expected(choices.draw(rng), macs)
        (gradient,) = torch.autograd.grad(cost, choices.stop)
        total += gradient / 120

    def mean(change: float) -> float:
        with torch.no_grad():
            choices.stop[0, 1] += change
        found = np.mean([macs(choices.draw(np.random.default_rng([1, n])).arch) for n in range(1000)])
        with torch.no_grad():
            choices.stop[0, 1] -= change
        return float(found)

    assert total[0, 1].item() == pytest.approx((mean(0.5) - mean(-0.5)), abs=0.25)


def test_neighbours_are_all_that_one_choice_makes() -> None:
    space = SearchSpace.from_dict(WIDE | DETAILED | dict(nodes=True))
    choices = Choices(space)
    for seed in range(3):
        draw = choices.draw(np.random.default_rng(seed))
        found = {(n.place, n.choice): n.arch for n in choices.neighbours(draw)}
        for gene, allowed in enumerate(choices.allowed.numpy()):
            for choice in np.flatnonzero(allowed):
                genes = draw.genes.copy()
                genes[gene] = choice
                arch = choices._arch(genes, draw.stops)
                assert found.get((gene, int(choice)), draw.arch) == arch


def test_a_guide_changes_nothing_at_the_start_and_learns() -> None:
    plain, guided = Choices(SMALL, 1), Choices(SMALL, 1, guide=True)
    logits = torch.randn_like(plain.logits)
    for choices in (plain, guided):
        choices.logits.data.copy_(logits)
    assert torch.equal(plain.scores(), guided.scores())
    scores = guided.scores()
    scores[int(guided.ops[0, 2]), 1].backward()
    assert guided.guide is not None and guided.guide.gamma.grad != 0
    guided.guide.gamma.data.fill_(0.5)
    guided.zero_grad()
    guided.scores()[int(guided.ops[0, 2]), 1].backward()
    assert guided.logits.grad is not None and (guided.logits.grad[guided.ops[0, 0]] != 0).any()


def test_shared_choices_are_the_same_in_all_cells() -> None:
    choices = Choices(SMALL, 1, shared=True)
    choices.logits.data.normal_()
    for seed in range(5):
        cells = choices.draw(np.random.default_rng(seed)).arch.branches[0]
        assert len({c.op for c in cells}) == 1 and len({c.width for c in cells[:-1]} | set()) <= 1
    with pytest.raises(ValueError, match='guide=True, shared_choices=True'):
        Choices(SMALL, 1, shared=True, guide=True)


def test_at_first_every_number_of_cells_is_as_likely() -> None:
    choices, rng = Choices(SMALL, 1), np.random.default_rng(0)
    archs = [choices.draw(rng).arch for _ in range(1500)]
    counts = np.bincount([len(a.branches[0]) for a in archs if a.output_strides == (8,)], minlength=5)[1:]
    np.testing.assert_allclose(counts / counts.sum(), 1 / 4, atol=0.06)  # branches that go down have two cells or more


@pytest.mark.parametrize('options', [('linear', 1.0, 1.0), ('log', 0.0, 1.0), ('log', 1.0, 0.0)])
def test_wrong_losses(options: tuple) -> None:
    with pytest.raises(ValueError, match='train_cfg: '):
        CostLoss(*options)


@pytest.mark.parametrize('more', [{}, DETAILED | dict(nodes=True)])
def test_second_choices_change_no_prediction_and_have_gradients(more: dict) -> None:
    from mmseg.registry import MODELS

    model = MODELS.build(supernet_cfg(WIDE | more)).train()
    space = SearchSpace.from_dict(WIDE | more)
    choices = Choices(space)
    draw = choices.draw(np.random.default_rng(1))
    x = torch.rand(2, 3, 64, 64)
    set_arch(model, draw.arch)
    want = model(x)
    backbone = next(p for p in searchable_parts(model).values() if hasattr(p, 'alternatives'))
    backbone.alternatives = choices.alternatives(draw)
    got = model(x)
    torch.testing.assert_close(got, want)
    got.square().mean().backward()
    assert choices.logits.grad is not None
    for cell in draw.arch.cells:
        second, place = backbone.alternatives.by_cell[cell.name], (cell.branches[0], cell.layer)
        for other, genes in ((second.op, choices.ops), (second.width, choices.widths)):
            assert (other is not None) == bool((choices.logits.grad[genes[place]] != 0).any()), (cell, second)
    assert sum(s.op is not None for s in backbone.alternatives.by_cell.values()) > 1


def test_a_weight_on_the_first_choice_alone_says_nothing_before_batch_norm() -> None:
    """Why a second path is computed."""
    from hyctas_mm.models.ops import build_op

    norm = dict(type='BN')
    first, then = (build_op('conv', 8, 8, False, norm).train() for _ in range(2))
    weight = torch.ones((), requires_grad=True)
    y = first(torch.rand(4, 8, 8, 8))
    target = torch.rand(4, 8, 8, 8)
    (alone,) = torch.autograd.grad((then(y * weight) - target).square().mean(), weight)
    other = build_op('conv', 8, 8, False, norm).train()(torch.rand(4, 8, 8, 8)).detach()
    zero = torch.zeros((), requires_grad=True)
    (pair,) = torch.autograd.grad((then(y.detach() + zero * (other - y.detach())) - target).square().mean(), zero)
    assert abs(alone) < 0.02 * abs(pair)
