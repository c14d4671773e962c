"""INT8 files of networks that ship."""

from __future__ import annotations

import ast
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hyctas_mm.costs.onnx_export import SCOPES
from hyctas_mm.costs.onnx_int8 import write_int8
from hyctas_mm.deploy.images import Image
from hyctas_mm.deploy.onnx_net import Array, OnnxNet
from hyctas_mm.engine.int8 import FLOAT_LAYERS
from hyctas_mm.errors import BadValue

KEPT = {'semantic': (), 'panoptic': FLOAT_LAYERS}
"""Layers that stay float32 unless told otherwise, by the task."""


@dataclass(frozen=True)
class QuantizeOptions:
    """How to quantise.

    Attributes:
        attention: Whether attention's products are quantised too.
        predictors: Whether the last convolutions and what follows them are quantised too: logits, centres and offsets
            then have 256 values.
        signed: Whether activations are symmetric int8, as TensorRT wants them, rather than uint8, which CPUs are faster
            with.
        keep: Layers that stay float32 with all that is in them, by the start of their name. None: of a panoptic file
            the tower of the centres, which in 8 bits lost 3.6 points of PQ on nuclei; of a semantic one none.
    """

    attention: bool = False
    predictors: bool = False
    signed: bool = False
    keep: tuple[str, ...] | None = None


def quantize(
    path: str | Path, out: str | Path, images: Iterable[Image], options: QuantizeOptions = QuantizeOptions()
) -> int:
    """Writes an exported file with 8-bit weights (for each channel) and activations (least and largest on the images).

    Args:
        path: A float file of ``tools/export_onnx.py``.
        out: File to write, with quantise and dequantise nodes (QDQ); its interface is that of ``path``.
        images: Training images (H, W, 3), BGR, at sizes that the file takes.
        options: How to quantise.

    Returns:
        Number of images used.

    Raises:
        ValueError: Without images, for a file that is quantised already, or for a layer to keep that the file does not
            have.
    """
    import onnx

    net, nodes = OnnxNet(path), onnx.load(str(path)).graph.node
    if any(node.op_type == 'QuantizeLinear' for node in nodes):
        raise BadValue(f'{path} is quantised already; expected a float file of tools/export_onnx.py')
    layers = options.keep if options.keep is not None else KEPT[net.description.task]
    kept = [name for layer in layers for name in _nodes_of(layer, nodes)]
    reader = _Reader(net, images)
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / 'int8.onnx'
        write_int8(
            path,
            written,
            reader,
            keep=kept,
            attention=options.attention,
            predictors=options.predictors,
            signed=options.signed,
        )
        net.description.write(written)
        Path(out).write_bytes(written.read_bytes())
    return reader.count


class _Reader:
    """What ONNX Runtime reads calibration images from."""

    def __init__(self, net: OnnxNet, images: Iterable[Image]) -> None:
        self._inputs: Iterator[Array] = (net.prepare(image) for image in images)
        self._first: Array | None = next(self._inputs, None)
        self.count = 0
        if self._first is None:
            raise BadValue('no calibration images; quantisation needs training images, 32 to 256 of them')

    def get_next(self) -> dict[str, Array] | None:
        """The next input, None after the last."""
        batch, self._first = (self._first, None) if self._first is not None else (next(self._inputs, None), None)
        self.count += batch is not None
        return None if batch is None else {'image': batch}


def _nodes_of(layer: str, nodes: Any) -> list[str]:
    """Names of the nodes of a layer, by the exporter's notes."""
    found, layers = [], set()
    for node in nodes:
        scopes = [
            scope for note in node.metadata_props if note.key == SCOPES for scope in ast.literal_eval(note.value)[:-1]
        ]
        names = {scope.removeprefix('model.') for scope in scopes if scope}
        layers |= {name for name in names if name.count('.') < 3}
        if any(f'{name}.'.startswith(f'{layer}.') for name in names):
            found.append(node.name)
    if not found:
        raise BadValue(f'no layer {layer} in the file; it has {", ".join(sorted(layers))} and what these hold')
    return found
