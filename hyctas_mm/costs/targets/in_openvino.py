"""OpenVINO on the CPU."""

from __future__ import annotations

from hyctas_mm.costs.targets.files import FileRuntime
from hyctas_mm.costs.targets.target import register_runtime


@register_runtime('openvino')
class OpenVino(FileRuntime):
    """Reads ONNX files, in 8 bits ours with QDQ nodes. Floats are 32 bits wide: where the CPU has bfloat16 OpenVINO
    would take that by itself, and be up to twice as fast and 0.4 % off.
    """

    precisions = ('fp32', 'int8')
    packages = ('openvino',)
    cpu_only = True
