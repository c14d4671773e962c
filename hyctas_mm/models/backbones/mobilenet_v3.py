"""MobileNetV3 with the strides that it was published with."""

from __future__ import annotations

from typing import Any

from mmcv.cnn.bricks import Conv2dAdaptivePadding
from mmseg.models.backbones import MobileNetV3

from hyctas_mm.registry import MODELS


@MODELS.register_module()
class StridedMobileNetV3(MobileNetV3):
    """mmseg's ``MobileNetV3``, going down to stride 32; mmseg's own, made for LR-ASPP, dilates from stride 8 on.

    Args:
        arch: ``'large'`` or ``'small'``.
        out_indices: Layers whose maps are given. The last of strides 4, 8, 16 and 32 are of ``'large'`` 3, 6, 12 and
            16 (24, 40, 112 and 960 channels), of ``'small'`` 1, 3, 8 and 12 (16, 24, 48 and 576).
        **kwargs: As there.
    """

    def __init__(self, arch: str = 'large', out_indices: tuple[int, ...] = (3, 6, 12, 16), **kwargs: Any) -> None:
        super().__init__(arch=arch, out_indices=tuple(out_indices), **kwargs)
        for number, (kernel, *_, stride) in enumerate(self.arch_settings[arch], 1):
            conv = getattr(self, f'layer{number}').depthwise_conv.conv
            conv.stride, conv.dilation = (stride, stride), (1, 1)
            if not isinstance(conv, Conv2dAdaptivePadding):  # that finds its padding itself
                conv.padding = (kernel // 2, kernel // 2)
