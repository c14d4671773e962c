"""A segmentor or panoptic detector with as much of its pre- and post-processing as an exported file has."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hyctas_mm.deploy.description import NetDescription
from hyctas_mm.errors import BadValue
from hyctas_mm.models.post_processing import lower_threshold
from hyctas_mm.models.subnet import pad_divisor

Maps = dict[str, Tensor]


def task_of(model: nn.Module) -> str:
    """``'semantic'`` for mmseg's segmentors, ``'panoptic'`` for ``PanopticDeepLab``.

    Raises:
        ValueError: For any other model.
    """
    if hasattr(model, 'encode_decode'):
        return 'semantic'
    if hasattr(getattr(model, 'panoptic_head', None), 'upsample'):
        return 'panoptic'
    raise BadValue(f"{type(model).__name__} cannot be exported; expected one of mmseg's segmentors or PanopticDeepLab")


class WholeNet(nn.Module):
    """Image in, maps of its size out, as ``description`` says.

    Args:
        model: A fixed network in eval mode.
        description: The file's interface.

    Returns:
        The maps named by ``description.compared_outputs``.
    """

    def __init__(self, model: nn.Module, description: NetDescription) -> None:
        super().__init__()
        self.model, self.description = model, description
        # not buffers: a constant is what the file should have
        self.mean = torch.tensor(description.mean).view(1, -1, 1, 1)
        self.std = torch.tensor(description.std).view(1, -1, 1, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        net = self.description
        size = image.shape[1:3] if net.preprocessing and net.layout == 'nhwc' else image.shape[2:]
        maps = self._maps(self._prepare(image, size) if net.preprocessing else image)
        if net.preprocessing and pad_divisor(self.model) > 1:
            maps = {name: x[:, :, : size[0], : size[1]] for name, x in maps.items()}
        derived = derive(maps, net)
        return tuple(derived[name] for name in net.compared_outputs)

    def _prepare(self, image: Tensor, size: Any) -> Tensor:
        """uint8 -> normalised, padded (B, 3, H, W)."""
        x = image.permute(0, 3, 1, 2) if self.description.layout == 'nhwc' else image  # (B, H, W, 3) -> (B, 3, H, W)
        x = (x.float() - self.mean) / self.std
        if self.description.channel_order != own_order(self.model):
            x = x.flip(1)
        divisor = pad_divisor(self.model)
        # the remainder of a negative size is more than the tracer follows
        down, right = ((s + divisor - 1) // divisor * divisor - s for s in size)
        return x if divisor == 1 else F.pad(x, (0, right, 0, down))

    def _maps(self, x: Tensor) -> Maps:
        """The network's maps at the size of ``x`` (B, 3, H, W)."""
        if self.description.task == 'semantic':
            return dict(logits=self.model.encode_decode(x, [dict(img_shape=x.shape[2:])]))
        semantic, center, offset = self.model.panoptic_head.upsample(self._raw(x), (x.shape[2], x.shape[3]))
        return dict(logits=semantic, center=center, offset=offset)

    def _raw(self, x: Tensor) -> Any:
        return self.model.panoptic_head(self.model.backbone(x))


def derive(maps: Maps, description: NetDescription) -> Maps:
    """The maps with what the description asks for beside them: ``probabilities``, or ``classes`` and ``peaks``."""
    out = dict(maps)
    logits, binary = maps['logits'], description.binary_threshold
    if description.outputs == 'probabilities':
        out['probabilities'] = logits.softmax(1) if binary is None else logits.sigmoid()
    if description.outputs == 'classes':
        labels = logits.argmax(1) if binary is None else (logits.sigmoid() > binary).squeeze(1)
        out['classes'] = labels.to(torch.int32)
        if description.grouping is not None:
            rule, center = description.grouping, maps['center']
            highest = F.max_pool2d(center, rule['nms_kernel'], 1, rule['nms_kernel'] // 2)
            share = rule.get('of_highest')
            least = rule['threshold'] if share is None else lower_threshold(center, rule['threshold'], share)
            is_peak = (center > least) & (center >= highest)
            out['peaks'] = torch.where(is_peak, center, torch.zeros_like(center))
    return out


def own_order(model: nn.Module) -> str:
    """Order of the channels that the network itself reads; images are loaded as BGR."""
    preprocessor: Any = model.data_preprocessor
    # mmseg before 1.4, upstream's last release among it, has a preprocessor that is not mmengine's
    turned = getattr(preprocessor, '_channel_conversion', False) or getattr(preprocessor, 'channel_conversion', False)
    return 'rgb' if turned else 'bgr'
