"""Which parts of a network 8 bits do harm to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hyctas_mm.costs.fake_int8 import FakeInt8, plan_int8
from hyctas_mm.engine.int8 import FLOAT_LAYERS
from hyctas_mm.models.backbones import HyCTASBackbone

WHOLE = 'all'
"""The name of the whole network among its parts."""


@torch.no_grad()
def changed_pixels(network: nn.Module, batches: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """What part of the pixels gets another class in 8 bits, and what is left of that where a part stays float32.

    A part that 8 bits suit badly is one whose value is far below that of the whole. Ranges are found on the images
    themselves.

    Args:
        network: In eval mode; of another backbone than ours only the head is told apart.
        batches: Images as ``data_preprocessor`` takes them; those of another size than the first are left out.

    Returns:
        Shares of the pixels from 0 to 1: ``'all'`` for everything in 8 bits, then, by the name of the part that stays
        float32, each op of our backbone, ``'stem'`` and ``'head'``.
    """
    inputs = [network.data_preprocessor(batch, False)['inputs'] for batch in batches]
    inputs = [x for x in inputs if x.shape == inputs[0].shape]
    wanted = [_classes(network, x) for x in inputs]
    pixels = sum(map(Tensor.numel, wanted))
    found = {}
    for part, layers in {WHOLE: [], **_parts(network)}.items():
        int8 = FakeInt8(network, plan_int8(network, inputs[0].shape, (*FLOAT_LAYERS, *layers)))
        int8.calibrate(lambda: [_classes(network, x) for x in inputs])
        with int8:
            got = [_classes(network, x) for x in inputs]
        found[part] = sum(int((x != y).sum()) for x, y in zip(wanted, got, strict=True)) / pixels
    return found


def _parts(network: nn.Module) -> dict[str, list[str]]:
    """Names of layers by what they are to a person."""
    head = 'decode_head' if hasattr(network, 'decode_head') else 'panoptic_head'
    if not isinstance(network.backbone, HyCTASBackbone):
        return {'head': [head]}
    parts = defaultdict(list)
    for placed in network.backbone.arch.cells:
        parts[placed.cell.op].append(f'backbone.cells.{placed.name}')
    return {**dict(sorted(parts.items())), 'stem': ['backbone.stem'], 'head': [head]}


def _classes(network: nn.Module, x: Tensor) -> Tensor:
    """(B, 3, H, W) -> (B, h, w): the class of each pixel of the network's logits."""
    out = network(x, mode='tensor')
    logits: Tensor = out if isinstance(out, Tensor) else out[0]  # panoptic networks give centres and offsets too
    if logits.shape[1] == 1:
        return logits[:, 0].sigmoid() > network.decode_head.threshold
    return logits.argmax(1)
