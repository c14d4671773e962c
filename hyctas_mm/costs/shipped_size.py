"""Size of a network's file, and the memory that the network takes where it ships: from its graph, nothing is run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from hyctas_mm.costs.fake_int8 import Int8Plan, plan_int8
from hyctas_mm.costs.params import count_params
from hyctas_mm.errors import BadValue

PRECISIONS = ('fp32', 'int8')
STEP_BYTES = 1100
"""What an operation takes in an ONNX file beside weights, with the quantise and dequantise nodes around it: fitted to
files of networks of 71 to 289 operations.
"""
CHANNEL_BYTES = 17
"""What an output channel of a convolution in 8 bits takes beside its weights: scale and zero of the weights, bias with
scale and zero.
"""
IN_PLACE = frozenset(('norm', 'relu', 'add', 'mul', 'sigmoid'))
"""Kinds that write over an input that nobody else reads."""


@dataclass(frozen=True)
class ShippedSize:
    """Sizes in 1e6 bytes.

    Attributes:
        file_mb: Of the ONNX file.
        run_mb: Of weights and maps at the peak of a forward pass.
    """

    file_mb: float
    run_mb: float


def shipped_size(net: nn.Module, shape: Sequence[int], precision: str = 'fp32') -> ShippedSize:
    """Sizes of a network as it ships.

    Args:
        net: In eval mode, batch norm fused, on any device.
        shape: Of its input, (1, 3, H, W).
        precision: One of :data:`PRECISIONS`. In 8 bits are the weights and maps that are in a file of
            :func:`~hyctas_mm.costs.onnx_int8.write_int8`; others stay floats of 32.

    Returns:
        The sizes. Not in ``run_mb`` are the runtime itself and its kernels' scratch memory.

    Raises:
        ValueError: For another precision.
    """
    if precision not in PRECISIONS:
        raise BadValue(f'file_mb and run_mb in {precision!r}; expected a target of {" or ".join(PRECISIONS)}')
    plan = plan_int8(net, shape)
    calls = [step for step in plan.steps if step.kind]
    small = {calls[n].weight for n in plan.convs} if precision == 'int8' else set()
    elements, channels = (sum(weight[place] for weight in small) for place in (0, 1))
    weights = elements + CHANNEL_BYTES * channels + 4 * (count_params(net) - elements - channels)
    file = weights + STEP_BYTES * len(plan.steps)
    return ShippedSize(file / 1e6, (weights + _peak_of_maps(plan, precision)) / 1e6)


def _peak_of_maps(plan: Int8Plan, precision: str) -> int:
    """Bytes of the maps that are alive at once; each is freed after its last reader."""
    last = {number: place for place, step in enumerate(plan.steps) for number in step.inputs.values()}
    size = [count * (1 if precision == 'int8' and n in plan.maps else 4) for n, count in enumerate(plan.sizes)]
    made = {number for step in plan.steps for number in step.outputs}
    alive = {number for number in last if number not in made}  # the image
    now = sum(size[number] for number in alive)
    peak = now
    for place, step in enumerate(plan.steps):
        dying = Counter({number: size[number] for number in alive if last.get(number, -1) == place})
        fresh = sum(size[number] for number in step.outputs)
        reused = max(dying.values(), default=0) if step.kind in IN_PLACE else 0
        peak = max(peak, now + max(0, fresh - reused))
        alive |= set(step.outputs)
        now += fresh - sum(dying.values())
        alive -= set(dying)
    return peak
