"""Candidate ops, one file each.

A new one subclasses :class:`Op` and is registered with :func:`hyctas_mm.registry.register_op`.
"""

from hyctas_mm.models.ops.attention import Attention, SelfAttention
from hyctas_mm.models.ops.base import Op, build_op
from hyctas_mm.models.ops.conv import Conv, Conv1x1, Conv2x
from hyctas_mm.models.ops.hrvit import HRViTAttn, MixCFN
from hyctas_mm.models.ops.inverted_residual import InvertedResidual, InvertedResidual6x
from hyctas_mm.models.ops.lite_conv import LiteConv, LiteConv2x, ZoomConv, ZoomConv2x

__all__ = [
    'Attention',
    'Conv',
    'Conv1x1',
    'Conv2x',
    'HRViTAttn',
    'InvertedResidual',
    'InvertedResidual6x',
    'LiteConv',
    'LiteConv2x',
    'MixCFN',
    'Op',
    'SelfAttention',
    'ZoomConv',
    'ZoomConv2x',
    'build_op',
]
