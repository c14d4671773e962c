"""What an expected cost adds to the loss of a search by gradients."""

from __future__ import annotations

from torch import Tensor

from hyctas_mm.errors import BadValue

FORMS = ('log', 'hinge', 'adaptive')
_RATE = 0.1
"""By what part of the first weight an adaptive one grows in a step in which the cost is twice the budget."""


class CostLoss:
    """A cost as a loss.

    Args:
        form: ``'log'``: ``weight * log(cost / budget)``, which presses on whether the budget is met or not (GAS's form;
            the budget shifts the value only, so choose the weight). ``'hinge'``: ``weight * max(0, cost / budget -
            1)``. ``'adaptive'``: a hinge whose weight grows while the cost is above the budget, and falls to the first
            one while it is below.
        budget: The cost that is aimed at.
        weight: The weight, of ``'adaptive'`` the first one.

    Attributes:
        weight: The present weight.

    Raises:
        ValueError: For a wrong argument.
    """

    def __init__(self, form: str, budget: float, weight: float) -> None:
        if form not in FORMS:
            raise BadValue(f'train_cfg: cost_form={form!r}; expected one of {", ".join(FORMS)}')
        if not budget > 0 or not weight > 0:
            raise BadValue(f'train_cfg: budget {budget!r}, cost_weight={weight!r}; expected numbers above 0')
        self.form, self.budget = form, float(budget)
        self.weight = self._first = float(weight)

    def __call__(self, cost: Tensor) -> Tensor:
        """The loss of an expected cost, a scalar above 0."""
        share = cost / self.budget
        if self.form == 'log':
            return self.weight * share.log()
        return self.weight * (share - 1).clamp(min=0)

    def adapt(self, cost: float) -> None:
        """After a step: changes an adaptive weight by the expected cost."""
        if self.form == 'adaptive':
            self.weight = max(self._first, self.weight + _RATE * self._first * (cost / self.budget - 1))
