"""Runtimes that read a network from a file."""

from __future__ import annotations

import ast
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from hyctas_mm.costs.onnx_export import CLASSES, SCOPES, export_to_onnx
from hyctas_mm.costs.onnx_int8 import write_int8
from hyctas_mm.costs.targets import on_device
from hyctas_mm.costs.targets.target import Call, Runtime
from hyctas_mm.errors import BadValue


class FileRuntime(Runtime):
    """A runtime that reads a network from a file, so that it may run on another machine.

    Files for its latency are quantised, where asked, with one image of noise: how long a network takes does not depend
    on the values. For files that ship see :func:`hyctas_mm.deploy.quantize`.
    """

    signed: ClassVar[bool] = False
    """Whether activations are int8 rather than uint8."""

    def prepare(self, net: nn.Module, x: Tensor) -> Call:
        with tempfile.TemporaryDirectory() as folder:
            return self.open(self.write(net, x, Path(folder), 'model'), x)

    def write(self, net: nn.Module, x: Tensor, folder: Path, name: str) -> Path:
        """Writes the file or files of a network.

        Args:
            net: In eval mode, batch norm fused.
            x: The input, (N, 3, H, W).
            folder: Where to.
            name: Of the file, without suffix.

        Returns:
            The file to give to :meth:`open`.

        Raises:
            ValueError: If a layer cannot be written, naming it.
        """
        path = folder / f'{name}.onnx'
        with torch.inference_mode(False), torch.no_grad():
            export_to_onnx(net, x, path)
        if self.target.precision == 'int8':
            write_int8(path, path, _Once(on_device.blank(x.shape)), signed=self.signed)
        return path

    def open(self, path: Path, x: Tensor) -> Call:
        """A written file as a call.

        Raises:
            ValueError: If the runtime cannot run a layer, naming it.
        """
        if x.device.type != 'cpu':
            raise BadValue(
                f"target '{self.target}' runs on the CPU; here the device is {x.device.type}; use --device cpu"
            )
        try:
            call = on_device.OPENERS[self.target.runtime](path, x.shape, self.target.threads)
            call()
        except Exception as error:  # each runtime has its own
            raise self.refusal(path, error) from None
        return call

    def refusal(self, path: Path, error: Exception) -> BadValue:
        """What to tell of a network that the runtime does not take: the layer, where its words name an operation."""
        reason = ' '.join(str(error).split())
        shown = reason if len(reason) < 300 else f'... {reason[-250:]}'  # what matters comes last
        return BadValue(f'{_layer_in(path, reason) or "the network"} cannot run in {self.target}: {shown}')


class _Once:
    """One image, as ONNX Runtime reads calibration images."""

    def __init__(self, image: Any) -> None:
        self._images = [dict(image=image)]

    def get_next(self) -> Any:
        return self._images.pop() if self._images else None


def _layer_in(path: Path, text: str) -> str:
    """The layer of the first node of an ONNX file that a text names, or else whose operation it names."""
    import onnx

    if path.suffix != '.onnx' or not path.exists():
        return ''
    nodes = onnx.load(str(path), load_external_data=False).graph.node
    words = set(re.findall(r'\w+', text))
    for found in ([n for n in nodes if n.name in words], [n for n in nodes if n.op_type in words]):
        for layer in layers_of(found):
            return layer
    return ''


def layers_of(nodes: Sequence[Any]) -> Iterator[str]:
    """For each node of an ONNX file that tells it, its layer and the layer's class, in words."""
    for node in nodes:
        notes = {
            note.key: ast.literal_eval(note.value) for note in node.metadata_props if note.key in (SCOPES, CLASSES)
        }
        scopes, classes = notes.get(SCOPES, []), notes.get(CLASSES, [])
        if len(scopes) > 1 and len(classes) == len(scopes):  # the last is the operation itself
            yield f'layer {scopes[-2] or "the network"} ({classes[-2].split(".")[-1]})'
