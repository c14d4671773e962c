from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from mmengine.logging import MessageHub

from hyctas_mm.models.losses import HardestPixelsCELoss


def test_mean_of_the_hardest_fifth() -> None:
    torch.manual_seed(0)
    logits, label = torch.randn(2, 5, 6, 10), torch.randint(0, 5, (2, 6, 10))
    losses = F.cross_entropy(logits, label, reduction='none').flatten().sort(descending=True).values
    torch.testing.assert_close(HardestPixelsCELoss(0.2)(logits, label), losses[:24].mean())
    torch.testing.assert_close(HardestPixelsCELoss(1.0, loss_weight=3.0)(logits, label), 3 * losses.mean())


def test_weights_come_before_the_choice() -> None:
    logits = torch.zeros(1, 2, 1, 10)
    label = torch.zeros(1, 1, 10, dtype=torch.long)
    weight = torch.ones(1, 1, 10)
    weight[..., 3] = 5
    ln2 = 0.6931471805599453
    assert HardestPixelsCELoss(0.1)(logits, label, weight=weight).item() == pytest.approx(5 * ln2)


def test_ignored_pixels_cost_nothing_but_count() -> None:
    logits = torch.zeros(1, 2, 1, 10)
    label = torch.full((1, 1, 10), 255)
    assert HardestPixelsCELoss(0.2)(logits, label).item() == 0
    label[..., 0] = 1
    # 2 of 10 pixels, one of them ignored
    assert HardestPixelsCELoss(0.2)(logits, label).item() == pytest.approx(0.6931471805599453 / 2)


def test_gradients_reach_the_hardest_only() -> None:
    logits = torch.randn(1, 3, 4, 5, requires_grad=True)
    HardestPixelsCELoss(0.2)(logits, torch.randint(0, 3, (1, 4, 5))).backward()
    assert (logits.grad.abs().sum(1) > 0).sum() == 4


@pytest.mark.parametrize('fraction', [0, -0.1, 1.5])
def test_a_fraction_out_of_range_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match=f'fraction={fraction}'):
        HardestPixelsCELoss(fraction)


def test_the_fraction_shrinks_from_all_pixels() -> None:
    """By the Runner's step, so that accumulation, several heads in a step and a resumed training do not matter."""
    loss, logits, label = (
        HardestPixelsCELoss(0.2, anneal_steps=10),
        torch.randn(1, 3, 4, 5),
        torch.randint(0, 3, (1, 4, 5)),
    )
    losses = F.cross_entropy(logits, label, reduction='none').flatten().sort(descending=True).values
    hub = MessageHub.get_instance('annealed')
    assert loss.current_fraction() == 0.2, 'without a step it is the last one'
    for step, count in ((0, 20), (5, 12), (10, 4), (99, 4)):
        hub.update_info('iter', step)
        torch.testing.assert_close(loss(logits, label), losses[:count].mean())
        assert HardestPixelsCELoss(0.2).current_fraction() == 0.2


@pytest.mark.parametrize('steps', [-1, 0.5])
def test_steps_out_of_range_are_refused(steps: float) -> None:
    with pytest.raises(ValueError, match=f'anneal_steps={steps}; expected a whole number'):
        HardestPixelsCELoss(anneal_steps=steps)
