"""An exported file against the network that it was made from."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from hyctas_mm.deploy.description import SMALLEST, NetDescription
from hyctas_mm.deploy.onnx_net import Array, OnnxNet
from hyctas_mm.deploy.whole_net import WholeNet, derive
from hyctas_mm.errors import BadValue


def random_inputs(description: NetDescription, rng: np.random.Generator) -> list[Array]:
    """Inputs of several sizes, odd ones among them, where the file takes them."""
    net = description
    sizes = [net.input_hw]
    if 'size' in net.dynamic:
        (height, width), least = net.input_hw, -(-SMALLEST // net.multiple) * net.multiple
        sizes += [(least, least), (least, width), (height + net.multiple, width + 3 * net.multiple)]
        sizes += [(least + 37 * net.multiple, least + 2 * net.multiple)] if net.multiple == 1 else []
    batches = (1, 3) if 'batch' in net.dynamic else (1,)
    shapes = [(batches[number % len(batches)], *size) for number, size in enumerate(sizes)]
    if len(shapes) < len(batches):
        shapes.append((batches[-1], *net.input_hw))
    return [_random(net, shape, rng) for shape in shapes]


def _random(net: NetDescription, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    batch, height, width = shape
    if not net.preprocessing:
        return rng.standard_normal((batch, 3, height, width), dtype=np.float32)
    return rng.integers(
        0, 256, (batch, height, width, 3) if net.layout == 'nhwc' else (batch, 3, height, width), dtype=np.uint8
    )


@torch.no_grad()
def largest_difference(net: WholeNet, file: OnnxNet, inputs: Iterable[Array]) -> float:
    """How far the file is from PyTorch: the largest difference of any map, relative to the map's largest value.

    The file must still give the maps that its outputs are derived from. Classes and peaks are then compared with what
    follows from the file's own
    maps: PyTorch's may differ where two classes are as good as equal.

    Raises:
        ValueError: If derived outputs do not follow from the file's maps.
    """
    largest = 0.0
    names = net.description.raw_outputs
    for batch in inputs:
        wanted = dict(zip(net.description.compared_outputs, net(torch.from_numpy(batch)), strict=True))
        got = {name: torch.from_numpy(x) for name, x in file.run(batch).items()}
        for name in names:
            x = wanted[name]
            if x.shape != got[name].shape:
                raise BadValue(
                    f'the exported {name} have shape {tuple(got[name].shape)} for an input {batch.shape}; PyTorch has '
                    f'{tuple(x.shape)}'
                )
            difference = float((x - got[name]).abs().max() / x.abs().max().clamp(min=1e-6))
            largest = max(largest, difference) if difference == difference else float('nan')
        derived = derive({name: got[name] for name in names}, net.description)
        for name in net.description.output_names:
            if not torch.allclose(derived[name], got[name], rtol=0, atol=1e-4):
                raise BadValue(f'the exported {name} do not follow from the exported maps, at input {batch.shape}')
    return largest
