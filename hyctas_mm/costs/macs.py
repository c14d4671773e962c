"""Multiply-accumulates, counted by PyTorch's own counter at the real input size, attention products included."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hyctas_mm.costs.parts import run_blank
from hyctas_mm.costs.remembered_results import RememberedResults


@dataclass(frozen=True)
class Macs:
    """Multiply-accumulates of one forward pass.

    Attributes:
        convs: Of convolutions and linear layers.
        attention: Of attention's two matrix products.
    """

    convs: int
    attention: int

    @property
    def total_g(self) -> float:
        """All of them, in 1e9."""
        return (self.convs + self.attention) / 1e9


def count_macs(model: nn.Module, *shapes: Sequence[int]) -> Macs:
    """Counts the multiply-accumulates of a forward pass in the model's present mode.

    Args:
        model: On any device; counted is a copy on the meta device, where nothing is computed, no key is padded and
            every kernel is known.
        shapes: Of each input, (N, C, H, W).

    Returns:
        Norms, activations and resizing count nothing, as in the paper.
    """
    if any(parameter.device.type != 'meta' for parameter in model.parameters()):
        model = copy.deepcopy(model).to('meta')
    with RememberedResults(), FlopCounterMode(display=False) as counter:
        run_blank(model, shapes)
    products = {str(op): flops // 2 for op, flops in counter.get_flop_counts().get('Global', {}).items()}
    attention = sum(count for op, count in products.items() if 'bmm' in op or 'attention' in op)
    return Macs(convs=sum(products.values()) - attention, attention=attention)
