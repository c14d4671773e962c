"""A trained network made ready to run: as it was, only faster."""

from __future__ import annotations

import torch
from mmcv.cnn import ConvModule
from mmcv.cnn.utils import fuse_conv_bn
from torch import nn

from hyctas_mm.errors import BadValue
from hyctas_mm.models.subnet import drop_training_parts

COMPILE_MODES = ('default', 'reduce-overhead', 'max-autotune')
"""Those of ``torch.compile``; all but ``'default'`` record CUDA graphs on a GPU."""


def prepare_for_inference(net: nn.Module, channels_last: bool = True, compile_mode: str | None = None) -> nn.Module:
    """Drops auxiliary heads, fuses each batch norm into the convolution before it, lays weights out channels-last, and
    compiles on demand.

    The network is changed in place: it cannot be trained any more, nor takes it checkpoints. What it predicts changes
    by rounding only.

    Args:
        net: A segmentor or detector with a fixed architecture.
        channels_last: Whether weights lie channels-last, in which maps then follow.
        compile_mode: One of :data:`COMPILE_MODES`, or None. The network is compiled at its first image, minutes for a
            large one, and again for another size of image.

    Returns:
        The network, in eval mode.

    Raises:
        ValueError: For a supernet, an unknown mode, or one that records graphs of a network with several heads.
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
        _compile(net, compile_mode)
    return net


def _compile(net: nn.Module, mode: str) -> None:
    """Compiles all up to the head's maps as one function, which takes the place of the head's; elsewhere each part.

    Where graphs are recorded it must be one: the next recorded part of a network may overwrite what the last one gave.
    """
    head = getattr(net, 'decode_head', getattr(net, 'panoptic_head', None))
    if head is None or isinstance(head, nn.ModuleList) or not hasattr(net, 'extract_feat'):
        if mode != 'default' and any(parameter.is_cuda for parameter in net.parameters()):
            raise BadValue(
                f'compile_mode={mode!r} records a network as one piece, and {type(net).__name__} has heads that are '
                "computed one after another; use compile_mode='default'"
            )
        for name, part in net.named_children():
            if name != 'data_preprocessor':  # mmseg calls a head's forward, not the head
                part.forward = torch.compile(part.forward, mode=mode)
        return
    extract, predict = net.extract_feat, head.forward
    head.forward = torch.compile(lambda images, *more: predict(extract(images), *more), mode=mode)
    net.extract_feat = lambda images: images


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
