"""Cross entropy of the hardest pixels, the loss the release trains with."""

from __future__ import annotations

import torch.nn.functional as F
from mmengine.logging import MessageHub
from torch import Tensor, nn

from hyctas_mm.errors import BadValue
from hyctas_mm.registry import MODELS


@MODELS.register_module()
class HardestPixelsCELoss(nn.Module):
    """Mean cross entropy over the pixels of a batch on which it is largest.

    The number of pixels is a fraction of all pixels of the batch. NOTE(release): ignored pixels count in that number
    and as zeros in the mean where fewer than the fraction are labelled.

    A training of a few hundred steps that starts with the hardest fifth learns little: which pixels are hardest is
    noise then, and nothing pulls on the rest. With ``anneal_steps`` it starts with all pixels, and the fraction shrinks
    linearly, as in DeepLab's own training. NOTE(release): constant there, over 186,000 steps and more.

    Args:
        fraction: Fraction of the pixels to average over, above 0, at most 1; 1 is the mean over all pixels, ignored
            ones included.
        anneal_steps: Training steps over which the fraction shrinks from 1 to ``fraction``; 0 keeps it constant. Steps
            are those of mmengine's Runner, so a resumed training goes on where it was; without a Runner the fraction is
            ``fraction``.
        loss_weight: Factor of the loss.
        loss_name: Name under which mmseg logs it; it must contain ``loss`` to be optimised.

    Raises:
        ValueError: If ``fraction`` or ``anneal_steps`` is out of range.

    Example:
        >>> loss = dict(type='HardestPixelsCELoss', fraction=0.2, anneal_steps=150)
        >>> decode_head = dict(type='HyCTASHead', loss_decode=loss)
    """

    def __init__(
        self, fraction: float = 0.2, anneal_steps: int = 0, loss_weight: float = 1.0, loss_name: str = 'loss_ce'
    ) -> None:
        super().__init__()
        if not 0 < fraction <= 1:
            raise BadValue(
                f'HardestPixelsCELoss: fraction={fraction!r}; expected a number above 0 and at most 1, '
                'e.g. 0.2 for the hardest fifth of the pixels'
            )
        if type(anneal_steps) is not int or anneal_steps < 0:
            raise BadValue(
                f'HardestPixelsCELoss: anneal_steps={anneal_steps!r}; expected a whole number of training steps, '
                'e.g. half of max_iters, or 0 for a constant fraction'
            )
        self.fraction, self.anneal_steps = fraction, anneal_steps
        self.loss_weight, self._loss_name = loss_weight, loss_name

    @property
    def loss_name(self) -> str:
        return self._loss_name

    def current_fraction(self) -> float:
        """The fraction at the Runner's step."""
        step = MessageHub.get_current_instance().get_info('iter') if self.anneal_steps else None
        if step is None:
            return self.fraction
        done = min(1.0, step / self.anneal_steps)
        return self.fraction + (1 - done) * (1 - self.fraction)

    def forward(
        self, cls_score: Tensor, label: Tensor, weight: Tensor | None = None, ignore_index: int = 255, **kwargs: object
    ) -> Tensor:
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
        count = max(1, int(self.current_fraction() * losses.numel()))
        return self.loss_weight * losses.topk(count, sorted=False).values.mean()
