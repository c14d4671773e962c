"""INT8 by ONNX Runtime's static quantisation."""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ATTENTION = ('MatMul', 'Softmax')
PASSING = (
    'Add',
    'Mul',
    'Concat',
    'Relu',
    'Resize',
    'AveragePool',
    'Reshape',
    'Transpose',
    'Squeeze',
    'Unsqueeze',
    'Sigmoid',
)
"""What lies between convolutions; in 8 bits too, so that they hand integers to each other."""


def write_int8(
    path: str | Path,
    out: str | Path,
    reader: Any,
    keep: Sequence[str] = (),
    attention: bool = False,
    predictors: bool = False,
    signed: bool = False,
) -> None:
    """Writes an ONNX file with 8-bit weights (for each channel) and activations (least and largest of what was read),
    by quantise and dequantise nodes (QDQ).

    Args:
        path: A float file.
        out: File to write; may be the same.
        reader: Gives calibration inputs as ONNX Runtime reads them, by ``get_next()``.
        keep: Names of nodes that stay float32.
        attention: Whether attention's products are quantised too.
        predictors: Whether the last convolutions and what follows them are quantised too.
        signed: Whether activations are symmetric int8 rather than uint8.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder, _quiet():
        prepared = Path(folder) / 'prepared.onnx'
        quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(out),
            reader,
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            weight_type=QuantType.QInt8,
            activation_type=QuantType.QInt8 if signed else QuantType.QUInt8,
            op_types_to_quantize=['Conv', *PASSING, *(ATTENTION if attention else ())],
            nodes_to_exclude=[*keep, *([] if predictors else last_nodes(onnx.load(str(prepared)).graph))],
            extra_options=dict(ActivationSymmetric=signed),
        )


def last_nodes(graph: Any) -> list[str]:
    """Names of the nodes that no other convolution follows: the predictors and what comes after them."""
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    before_conv: dict[str, bool] = {}
    for node in reversed(graph.node):  # sorted, so all that follow are known
        after = [reader for name in node.output for reader in readers.get(name, [])]
        before_conv[node.name] = any(reader.op_type == 'Conv' or before_conv[reader.name] for reader in after)
    return [name for name, found in before_conv.items() if not found]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without ONNX Runtime's advice, which is followed, through the root logger."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(level)
