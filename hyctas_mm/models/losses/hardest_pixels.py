"""Cross entropy of the hardest pixels, the loss the release trains with."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from hyctas_mm.registry import MODELS


@MODELS.register_module()
class HardestPixelsCELoss(nn.Module):
    """Mean cross entropy over the pixels of a batch on which it is largest.

    The number of pixels is a fraction of all pixels of the batch. NOTE(release): ignored pixels count in that number and as zeros in the
    mean where fewer than the fraction are labelled.

    Args:
        fraction: Fraction of the pixels to average over, above 0, at most 1; 1 is the mean over all pixels, ignored ones included.
        loss_weight: Factor of the loss.
        loss_name: Name under which mmseg logs it; it must contain ``loss`` to be optimised.

    Raises:
        ValueError: If ``fraction`` is out of range.

    Example:
        >>> decode_head = dict(type='HyCTASHead', loss_decode=dict(type='HardestPixelsCELoss', fraction=0.2))
    """

    def __init__(self, fraction: float = 0.2, loss_weight: float = 1.0, loss_name: str = 'loss_ce') -> None:
        super().__init__()
        if not 0 < fraction <= 1:
            raise ValueError(
                f'HardestPixelsCELoss: fraction={fraction!r}; expected a number above 0 and at most 1, e.g. 0.2 for the hardest fifth of the pixels'
            )
        self.fraction, self.loss_weight, self._loss_name = fraction, loss_weight, loss_name

    @property
    def loss_name(self) -> str:
        return self._loss_name

    def forward(self, cls_score: Tensor, label: Tensor, weight: Tensor | None = None, ignore_index: int = 255, **kwargs: object) -> Tensor:
        """Computes the loss.

        Args:
            cls_score: Logits, (B, classes, H, W).
            label: Classes, (B, H, W).
            weight: Factor of each pixel's cross entropy, (B, H, W), applied before the hardest are chosen.
            ignore_index: Label whose pixels cost nothing.
            **kwargs: mmseg's ``avg_factor`` and ``reduction_override``, of which this loss has no use.
        """
        losses = F.cross_entropy(cls_score.float(), label, reduction='none', ignore_index=ignore_index)
        if weight is not None:
            losses = losses * weight
        losses = losses.flatten()  # (B, H, W) -> (B*H*W)
        count = max(1, int(self.fraction * losses.numel()))
        return self.loss_weight * losses.topk(count, sorted=False).values.mean()
