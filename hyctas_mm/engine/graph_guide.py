"""Messages between the choices of neighbouring cells."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GraphGuide(nn.Module):
    """A graph convolution over the log-odds of cells, after the idea of GAS (https://arxiv.org/abs/1909.06793).

    Layer by layer, each cell is told by the cells of the layer before it: ``A'_l = A_l + gamma M A'_{l-1} V`` with
    ``M = softmax((A_l Q) (A'_{l-1} K)^T)`` over these cells. It changes nothing at the start (``gamma`` is 0) and is
    gone in the result. GAS has published no code; size, depth and starting values are ours.

    Args:
        size: Log-odds of a cell.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(0)
        self.query, self.key, self.value = (
            nn.Parameter(torch.randn(size, size, generator=rng) / size**0.5) for _ in range(3)
        )
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, cells: Tensor) -> Tensor:
        """Log-odds of cells, (branches, layers, size), told by their neighbours."""
        told = [cells[:, 0]]
        for own in cells[:, 1:].unbind(1):
            before = told[-1]
            near = ((own @ self.query) @ (before @ self.key).T).softmax(-1)
            told.append(own + self.gamma * (near @ before @ self.value))
        return torch.stack(told, dim=1)
