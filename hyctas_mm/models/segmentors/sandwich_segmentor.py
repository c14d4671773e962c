"""A supernet whose steps train several sub-networks, the largest teaching the others."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmseg.models.segmentors import EncoderDecoder
from mmseg.utils import SampleList
from torch import Tensor

from hyctas_mm.archs import Architecture
from hyctas_mm.models.layers import resize
from hyctas_mm.models.subnet import set_arch
from hyctas_mm.registry import MODELS


@MODELS.register_module()
class SandwichSegmentor(EncoderDecoder):
    """mmseg's ``EncoderDecoder`` with the sandwich rule and in-place distillation (https://arxiv.org/abs/1903.05134).

    A training step computes every architecture that :class:`~hyctas_mm.engine.hooks.SandwichSampleArchHook` hands over:
    the first, the largest, learns from the labels (auxiliary heads included), the others from its soft predictions (KL
    divergence of the main head's logits, no gradient into the teacher). The losses are averaged, so that the learning
    rate of plain sampling fits. Everything else, its parameters and their names too, is the ``EncoderDecoder``'s: a
    checkpoint serves both.

    All of it is in ``loss`` and not in ``train_step``, because mmengine's distributed wrapper has a ``train_step`` of
    its own and calls the forward alone. So a step remains one forward and one backward, which is all that runner,
    DistributedDataParallel (which reduces only what its *last* forward used, and so would miss gradients accumulated
    over several), mixed precision and gradient accumulation know. The price is
    memory: the activations of all sub-networks of a step are kept at once.

    Without architectures (a fixed network, or a search) it is an ``EncoderDecoder``.

    Example:
        >>> model = dict(type='SandwichSegmentor')  # in place of 'EncoderDecoder' of the supernet's config
        >>> custom_hooks = [dict(type='SandwichSampleArchHook', num_random=1)]
        >>> # a step costs num_random + 2 of plain sampling: give it as many times fewer steps to compare
        >>> model_wrapper_cfg = dict(type='SupernetDataParallel')
    """

    step_archs: Sequence[Architecture] = ()

    def loss(self, inputs: Tensor, data_samples: SampleList) -> dict[str, Tensor]:
        """Losses of all architectures of this step, each divided by their number.

        Args:
            inputs: Images, (B, 3, H, W).
            data_samples: With their labels.

        Returns:
            ``largest.decode.*``, and for the i-th other architecture ``student{i}.loss_distill``.
        """
        if not self.step_archs:
            return dict(super().loss(inputs, data_samples))
        teacher, *students = self.step_archs
        set_arch(self, teacher)
        features = self.extract_feat(inputs)
        found = self._decode_head_forward_train(features, data_samples)
        losses = {
            f'largest.{name}': value / len(self.step_archs) if 'loss' in name else value
            for name, value in found.items()
        }
        with torch.no_grad():
            targets = self.decode_head.forward(features)
        for number, student in enumerate(students):
            set_arch(self, student)
            losses[f'student{number}.loss_distill'] = distillation_loss(self._forward(inputs), targets) / len(
                self.step_archs
            )
        return losses


def distillation_loss(logits: Tensor, targets: Tensor, temperature: float = 1.0) -> Tensor:
    """KL divergence of the student's class probabilities from the teacher's, averaged over pixels.

    Args:
        logits: The student's, (B, classes, h, w); resized where the teacher predicts at another size (low-level
            fusion).
        targets: The teacher's, (B, classes, H, W).
        temperature: What logits are divided by; the loss is multiplied by its square, so that gradients stay as large
            (https://arxiv.org/abs/1503.02531).
    """
    logits = resize(logits.float(), targets.shape[2:])  # in float: half precision loses small probabilities
    student = F.log_softmax(logits / temperature, dim=1)
    teacher = F.log_softmax(targets.detach().float() / temperature, dim=1)
    return F.kl_div(student, teacher, reduction='none', log_target=True).sum(dim=1).mean() * temperature**2
