"""The sparsity loss of gated connections reaches training."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn

from hyctas_mm.errors import BadValue
from hyctas_mm.models.necks import DenseFusionNeck
from hyctas_mm.registry import HOOKS


@HOOKS.register_module()
class GateSparsityHook(Hook):
    """Adds :meth:`~hyctas_mm.models.DenseFusionNeck.sparsity_loss` to the losses of any model with such a neck,
    as ``loss_gates``, and logs the mean gate as ``gates``.

    mmseg and mmdet sum the losses of heads only. The loss is added to what the model returns in a training step, so
    that it is logged, scaled, accumulated and reduced over processes like any other.

    Args:
        weight: Factor of the loss; 0.01 is SparseMask's.
        density: The share of open gates that it aims at, see there.

    Raises:
        ValueError: If an option is out of range, or the model has no neck with gates.

    Example:
        >>> custom_hooks = [dict(type='GateSparsityHook')]
        >>> # a sigmoid moves slowly, and decay would hold gates at one half
        >>> gates = {'gate_logits': dict(lr_mult=100, decay_mult=0)}
        >>> optim_wrapper = dict(paramwise_cfg=dict(custom_keys=gates))
    """

    def __init__(self, weight: float = 0.01, density: float | None = None) -> None:
        if not weight > 0:
            raise BadValue(f'GateSparsityHook: weight={weight!r}; expected a number above 0, e.g. 0.01')
        if density is not None and not 0 < density < 1:
            raise BadValue(f'GateSparsityHook: density={density!r}; expected a share between 0 and 1, e.g. 0.5')
        self.weight, self.density = weight, density

    def before_train(self, runner: Runner) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        self._necks = [m for m in model.modules() if isinstance(m, DenseFusionNeck) and m.gate_logits is not None]
        if not self._necks:
            raise BadValue(
                f'GateSparsityHook: {type(model).__name__} has no DenseFusionNeck with gates; remove the hook from '
                'custom_hooks, or set neck=dict(gated=True)'
            )
        self._added = model.register_forward_hook(self._add, with_kwargs=True)

    def after_train(self, runner: Runner) -> None:
        self._added.remove()

    def _add(
        self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], losses: Any
    ) -> dict[str, Tensor] | None:
        """The model's losses with ours; None, which changes nothing, for what else it returns."""
        if kwargs.get('mode') != 'loss':
            return None
        sparsity = sum(neck.sparsity_loss(self.density) for neck in self._necks)
        mean = sum(neck.gates().detach().mean() for neck in self._necks) / len(self._necks)
        return dict(losses, loss_gates=self.weight * sparsity, gates=mean)
