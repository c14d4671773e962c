"""A trained network made ready to run: as it was, only faster."""

from __future__ import annotations

import torch
from mmcv.cnn import ConvModule
from mmcv.cnn.utils import fuse_conv_bn
from torch import nn

from hyctas_mm.errors import BadValue
from hyctas_mm.models.subnet import drop_training_parts

COMPILE_MODES = ('default', 'reduce-overhead', 'max-autotune')
"""Those of ``torch.compile``; ``'reduce-overhead'`` records CUDA graphs on a GPU."""


def prepare_for_inference(net: nn.Module, channels_last: bool = True, compile_mode: str | None = None) -> nn.Module:
    """Drops auxiliary heads, fuses each batch norm into the convolution before it, lays weights out channels-last, and
    compiles on demand.

    The network is changed in place: it cannot be trained any more, nor takes it checkpoints. What it predicts changes
    by rounding only.

    Args:
        net: A segmentor or detector with a fixed architecture.
        channels_last: Whether weights lie channels-last, in which maps then follow.
        compile_mode: One of :data:`COMPILE_MODES`, or None. Backbone, neck and heads are compiled at their first image,
            minutes for a large network, and again for another size of image.

    Returns:
        The network, in eval mode.

    Raises:
        ValueError: For a supernet, or an unknown mode.
    """
    if compile_mode is not None and compile_mode not in COMPILE_MODES:
        raise BadValue(f'compile_mode={compile_mode!r}; expected one of {", ".join(COMPILE_MODES)}, or None')
    if any(getattr(module, 'search_space', None) is not None for module in net.modules()):
        raise BadValue(
            'a supernet cannot be made ready for inference; export a network of it with tools/export_subnet.py'
        )
    net = fuse_norms(drop_training_parts(net).eval())
    if channels_last:
        net = net.to(memory_format=torch.channels_last)
    if compile_mode is not None:
        for name, part in net.named_children():
            if name != 'data_preprocessor':  # mmseg calls a head's forward, not the head
                part.forward = torch.compile(part.forward, mode=compile_mode)
    return net


def fuse_norms(net: nn.Module) -> nn.Module:
    """Fuses each batch norm into the convolution before it; returns the network.

    mmcv's function goes by the order of the children, which is wrong for a ``ConvModule`` that norms before it
    convolves, as those of DDRNet's and PIDNet's pyramid pooling do. Their norms are put where it does not see them.
    """
    for module in net.modules():
        order = getattr(module, 'order', ())
        if isinstance(module, ConvModule) and module.with_norm and order.index('norm') < order.index('conv'):
            setattr(module, module.norm_name, nn.Sequential(module.norm))
    return fuse_conv_bn(net)
