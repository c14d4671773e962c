"""A network that learns from the labels and from another network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmseg.models.segmentors import EncoderDecoder
from mmseg.utils import SampleList
from torch import Tensor, nn

from hyctas_mm.engine.checkpoint import read_checkpoint
from hyctas_mm.errors import BadValue, NoSuchFile
from hyctas_mm.models.layers import resize
from hyctas_mm.models.segmentors.sandwich_segmentor import distillation_loss
from hyctas_mm.registry import MODELS


@MODELS.register_module()
class DistilledSegmentor(EncoderDecoder):
    """mmseg's ``EncoderDecoder`` with a teacher: any semantic network of as many classes that mmseg builds.

    To its losses comes ``loss_distill``, the KL divergence of its class probabilities from the teacher's at each pixel
    of its main head's map, to which the teacher's logits are resized. The teacher sees the same augmented images, in
    eval mode and without gradients. It is no part of the network: parameters, checkpoints, averages and what is sent
    between processes are those of the ``EncoderDecoder``, into which a checkpoint loads. It is read before the first
    step, so testing needs no teacher.

    Args:
        *args: As of the ``EncoderDecoder``.
        teacher: ``config`` and ``checkpoint``, files; ``weight`` of the loss (1) and ``temperature`` (1).
        **kwargs: As of the ``EncoderDecoder``.

    Raises:
        ValueError: If ``teacher`` has another key, or weight or temperature are not above 0; in the first step, if the
            teacher does not fit the network or the file.
        FileNotFoundError: In the first step, if a file is missing.

    Example:
        >>> teacher = dict(config='large.py', checkpoint='large.pth', temperature=2.0)
        >>> model = dict(type='DistilledSegmentor', teacher=teacher)  # in place of 'EncoderDecoder'
    """

    def __init__(self, *args: Any, teacher: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._teacher = Teacher(**teacher)

    def loss(self, inputs: Tensor, data_samples: SampleList) -> dict[str, Tensor]:
        """The ``EncoderDecoder``'s losses and ``loss_distill``.

        Args:
            inputs: Images, (B, 3, H, W).
            data_samples: With their labels.
        """
        found: list[Tensor] = []
        head = self.decode_head
        of_head = head.loss_by_feat

        def loss_by_feat(logits: Tensor, *args: Any, **kwargs: Any) -> Any:
            found.append(logits)
            return of_head(logits, *args, **kwargs)

        head.loss_by_feat = loss_by_feat  # the head's own logits: computed again, dropout would make others
        try:
            losses = dict(super().loss(inputs, data_samples))
        finally:
            del head.loss_by_feat
        losses['loss_distill'] = self._teacher.loss(self, inputs, found[-1])
        return losses


class Teacher:
    """A fixed network that another one learns from; no module, so that it is no part of that one, and shared by its
    copies.

    Args:
        config: Its config.
        checkpoint: Its weights.
        weight: Factor of the loss.
        temperature: What logits are divided by.
    """

    def __init__(self, config: str, checkpoint: str, weight: float = 1.0, temperature: float = 1.0) -> None:
        for name, value in dict(weight=weight, temperature=temperature).items():
            if not value > 0:
                raise BadValue(f'teacher: {name}={value!r}; expected a number above 0, e.g. 1')
        self.config, self.checkpoint = config, checkpoint
        self.weight, self.temperature = weight, temperature
        self._network: Any = None

    def __deepcopy__(self, memo: Any) -> Teacher:
        return self

    def loss(self, student: Any, inputs: Tensor, logits: Tensor) -> Tensor:
        """How far a network's predictions are from the teacher's.

        Args:
            student: The network.
            inputs: Images as it gets them, (B, 3, H, W).
            logits: Its logits, (B, classes, h, w).
        """
        if self._network is None:
            self._network = self._read(student).to(inputs.device)
        with torch.no_grad():
            targets = resize(self._network(inputs, mode='tensor').float(), logits.shape[2:])
        return self.weight * distillation_loss(logits, targets, self.temperature)

    def _read(self, student: Any) -> nn.Module:
        """The network, in eval mode, checked to fit the student."""
        try:
            cfg = Config.fromfile(self.config)
        except FileNotFoundError:
            raise NoSuchFile(f"teacher: no config {self.config}; give the config of the teacher's training") from None
        with torch.random.fork_rng(devices=[]):  # the student's training is the same whatever the teacher is
            network: nn.Module = MODELS.build(cfg.model)
        if not isinstance(network, EncoderDecoder):
            raise BadValue(f'teacher: {self.config} is a {cfg.model.type}; expected a semantic network of mmseg')
        if network.out_channels != student.out_channels or student.out_channels < 2:
            raise BadValue(
                f'teacher: {self.config} predicts {network.out_channels} classes, the network {student.out_channels}; '
                'expected as many, two or more: take a teacher that was trained on these classes'
            )
        theirs, ours = _normalisation(network), _normalisation(student)
        if theirs != ours:
            raise BadValue(
                f'teacher: {self.config} takes images normalised by {theirs}, the network by {ours}; give the '
                "student's data_preprocessor the teacher's values"
            )
        try:
            network.load_state_dict(read_checkpoint(self.checkpoint)['state_dict'])
        except RuntimeError as error:
            reasons = '; '.join(line.strip() for line in str(error).splitlines()[1:4])
            raise BadValue(
                f'teacher: {self.checkpoint} does not fit {self.config} ({reasons}); give the config that it was '
                'trained with'
            ) from None
        print_log(f'teacher: {self.config} with the weights of {self.checkpoint}', 'current')
        return network.requires_grad_(False).eval()


def _normalisation(network: Any) -> dict[str, Any]:
    """What is done to the values of images before a network of mmseg sees them."""
    steps = network.data_preprocessor
    values = {
        name: [round(float(v), 3) for v in getattr(steps, name).flatten()]
        for name in ('mean', 'std')
        if getattr(steps, '_enable_normalize', False)
    }
    return dict(values, flipped_channels=bool(getattr(steps, '_channel_conversion', False)))
