"""What networks ship to, one class for each runtime; found only where it is installed."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# in the order in which they are listed
from hyctas_mm.costs.targets.in_pytorch import PyTorch  # isort: skip
from hyctas_mm.costs.targets.in_onnxruntime import OnnxRuntime  # isort: skip
from hyctas_mm.costs.targets.in_openvino import OpenVino  # isort: skip
from hyctas_mm.costs.targets.in_ncnn import Ncnn  # isort: skip
from hyctas_mm.costs.targets.in_tensorrt import TensorRT  # isort: skip
from hyctas_mm.costs.targets.files import FileRuntime
from hyctas_mm.costs.targets.target import (
    MODES,
    Call,
    Runtime,
    Target,
    register_runtime,
    runtime_names,
    target_names,
)

__all__ = [
    'MODES',
    'Call',
    'FileRuntime',
    'Ncnn',
    'OnnxRuntime',
    'OpenVino',
    'PyTorch',
    'Runtime',
    'Target',
    'TensorRT',
    'prepare_call',
    'register_runtime',
    'runtime_names',
    'target_names',
]


def prepare_call(net: nn.Module, x: Tensor, target: Target | str = 'eager') -> Call:
    """One forward pass as a call, already converted and compiled.

    Args:
        net: In eval mode, on the device of ``x``, batch norm fused.
        x: The input, (N, 3, H, W).
        target: What runs it; a word for float32 and as many threads as PyTorch has.

    Returns:
        The call. PyTorch's gives what the network gives, the others a list of outputs.

    Raises:
        ValueError: For an unknown target, or one that does not work here or with this network; the message says why.
        ImportError: If the runtime is not installed.
    """
    wanted = Target.read(target, threads=torch.get_num_threads())
    return wanted.software(wanted).prepare(net, x)
