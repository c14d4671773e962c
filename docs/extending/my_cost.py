"""A cost of one's own: the largest map that has to be kept while a network runs, in millions of numbers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hyctas_mm.engine.candidate_costs import register_cost


@register_cost('largest_map_m', 'M')
def largest_map(network: nn.Module, input_shape: tuple[int, ...]) -> float:
    """The network is on the meta device: shapes are computed, numbers are not."""
    sizes = []

    def note(module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            sizes.append(output.numel())

    hooks = [module.register_forward_hook(note) for module in network.modules()]
    network(torch.empty(input_shape, device='meta'))
    for hook in hooks:
        hook.remove()
    return max(sizes) / 1e6
