"""Convolution and batch norm, plain or slimmable.

A slimmable layer holds the parameters of its full width and computes with the first channels of it (the supernet's
weight sharing over widths, paper section 3.2). ``activate`` says how many. A fixed network uses PyTorch's own layers,
so that fusing, compiling and exporting see nothing unusual.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from torch import Tensor, nn
from torch.fx.experimental.symbolic_shapes import statically_known_true

from hyctas_mm.errors import BadValue
from hyctas_mm.models.synced_norm import SyncedBatchNorm2d, synced_batch_norm, together

Channels = int | Sequence[tuple[int, int]]
"""Input channels: a number, or for concatenated maps one ``(active, full)`` pair per map, each in a slot of its full
size.
"""

MakeBlock = Callable[..., Callable[..., Any]]
"""What ``compose`` is given: ``block(make, *args)(*shapes)`` stands for ``make(*args)(*maps)``."""

MAX_SLOTS = 3
"""A cell of the supernet may be used by up to three branches of one network; each use has batch norm statistics of its
own.
"""


def total(channels: Channels) -> int:
    """Number of active channels."""
    return channels if isinstance(channels, int) else sum(active for active, _ in channels)


def full(channels: Channels) -> int:
    """Number of channels when every map is at its full width."""
    return channels if isinstance(channels, int) else sum(size for _, size in channels)


def _first(x: Tensor, count: int) -> Tensor:
    """The first entries; a tensor that has no more as it is: even such a slice costs kernels in the backward pass."""
    return x if count == len(x) else x[:count]


class SlimConv2d(nn.Conv2d):
    """A convolution that computes with the first of its channels; a depthwise one has ``groups=in_channels``."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, **kwargs: Any) -> None:
        super().__init__(in_channels, out_channels, kernel_size, **kwargs)
        self.activate(in_channels, out_channels)

    def activate(self, in_channels: Channels, out_channels: int) -> None:
        """Chooses the channels to compute with."""
        if isinstance(in_channels, int):
            in_channels = ((in_channels, self.in_channels),)
        self._pieces, start = [], 0
        for active, size in in_channels:
            self._pieces.append(slice(start, start + active))
            start += size
        if start != self.in_channels:
            raise BadValue(
                f'input maps of {[size for _, size in in_channels]} channels do not fill a convolution of '
                f'{self.in_channels}'
            )
        self._out = out_channels
        self._groups = out_channels if self.groups > 1 else 1

    def active_state(self) -> dict[str, Tensor]:
        """The parameters in use, as those of a plain convolution."""
        weight = _first(self.weight, self._out)
        if self.groups == 1 and sum(piece.stop - piece.start for piece in self._pieces) < self.in_channels:
            weight = (
                weight[:, self._pieces[0]]
                if len(self._pieces) == 1
                else torch.cat([weight[:, p] for p in self._pieces], dim=1)
            )
        return {'weight': weight} if self.bias is None else {'weight': weight, 'bias': _first(self.bias, self._out)}

    def forward(self, x: Tensor) -> Tensor:
        state = self.active_state()
        return F.conv2d(x, state['weight'], state.get('bias'), self.stride, self.padding, groups=self._groups)


class SlimBatchNorm2d(nn.BatchNorm2d):
    """Batch norm over the first of its channels, with running statistics for each use of a shared cell.

    ``running_mean`` and ``running_var`` have shape (slots, channels), ``num_batches_tracked`` has (slots,).

    Attributes:
        synced: Whether all processes normalise over their batches together in training.
    """

    def __init__(self, num_features: int, synced: bool = False, **kwargs: Any) -> None:
        super().__init__(num_features, **kwargs)
        self.synced = synced
        self.running_mean: Tensor = self.running_mean.expand(MAX_SLOTS, -1).clone()
        self.running_var: Tensor = self.running_var.expand(MAX_SLOTS, -1).clone()
        self.num_batches_tracked: Tensor = self.num_batches_tracked.expand(MAX_SLOTS).clone()
        self.activate(num_features)

    def activate(self, num_features: int, slot: int = 0) -> None:
        """Chooses the channels and the statistics to compute with."""
        self._num, self.slot = num_features, slot

    def reset_running_stats(self) -> None:
        self.running_mean.zero_()
        self.running_var.fill_(1)
        self.num_batches_tracked.zero_()

    def active_state(self) -> dict[str, Tensor]:
        """The parameters and statistics in use, as those of a plain batch norm."""
        state = {name: _first(getattr(self, name), self._num) for name in ('weight', 'bias')}
        state |= {name: getattr(self, name)[self.slot, : self._num] for name in ('running_mean', 'running_var')}
        return state | {'num_batches_tracked': self.num_batches_tracked[self.slot]}

    def forward(self, x: Tensor) -> Tensor:
        state = self.active_state()
        momentum = self.momentum
        if self.training:
            state['num_batches_tracked'].add_(1)
            if momentum is None:  # cumulative average
                momentum = 1.0 / float(state['num_batches_tracked'])
        arguments = (state['running_mean'], state['running_var'], state['weight'], state['bias'])
        if together(self):
            return synced_batch_norm(x, *arguments, momentum or 0.0, self.eps)
        return F.batch_norm(x, *arguments, self.training, momentum or 0.0, self.eps)


def batch_norm(channels: int, norm_cfg: Mapping[str, Any], slim: bool = False) -> nn.Module:
    """The norm layer of ``norm_cfg``; ours, a slimmable one and that of ``SyncBN``, take its type, ``eps`` and
    ``momentum`` only.
    """
    synced, options = norm_cfg['type'] == 'SyncBN', {k: norm_cfg[k] for k in ('eps', 'momentum') if k in norm_cfg}
    if slim:
        return SlimBatchNorm2d(channels, synced, **options)
    return SyncedBatchNorm2d(channels, **options) if synced else build_norm_layer(dict(norm_cfg), channels)[1]


class ConvBN(nn.Module):
    """Convolution without bias, batch norm, and ReLU unless told otherwise: the unit everything here is made of.

    Args:
        in_channels: Input channels.
        out_channels: Output channels.
        kernel_size: Odd; the padding keeps the size at stride 1.
        stride: At stride 2 an odd size is rounded up.
        act: Whether to apply ReLU.
        depthwise: Whether each channel is convolved by itself; ``out_channels`` is ``in_channels`` then.
        norm_cfg: mmcv's norm config, see :func:`batch_norm`.
        slim: Whether the unit is slimmable.
    """

    cost_unit = True

    def __init__(
        self,
        in_channels: Channels,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        act: bool = True,
        *,
        depthwise: bool = False,
        norm_cfg: Mapping[str, Any],
        slim: bool = False,
    ) -> None:
        super().__init__()
        conv = SlimConv2d if slim else nn.Conv2d
        size = full(in_channels) if slim else total(in_channels)
        self.conv = conv(
            size,
            out_channels,
            kernel_size,
            stride=stride,
            padding=kernel_size // 2,
            groups=size if depthwise else 1,
            bias=False,
        )
        self.bn = batch_norm(out_channels, norm_cfg, slim)
        self.act = act

    def activate(self, in_channels: Channels, out_channels: int, slot: int = 0) -> None:
        """Chooses the channels of a slimmable unit."""
        self.conv.activate(in_channels, out_channels)
        self.bn.activate(out_channels, slot)

    def extra_repr(self) -> str:
        return f'act={self.act}'

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.conv(x))
        return F.relu(x, inplace=True) if self.act else x


def resize(x: Tensor, size: Sequence[int], align_corners: bool = False) -> Tensor:
    """Bilinear resizing to (height, width); the map itself where it has that size, also when traced for sizes that
    vary.
    """
    if all(statically_known_true(old == new) for old, new in zip(x.shape[2:], size, strict=True)):
        return x
    return F.interpolate(x, size=(size[0], size[1]), mode='bilinear', align_corners=align_corners)


def half_size(x: Tensor) -> tuple[int, int]:
    """Half the map's height and width, rounded down but at least 1."""
    height, width = x.shape[2:]
    return torch.sym_max(1, height // 2), torch.sym_max(1, width // 2)
