"""A network as a call, by the software that runs it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from hyctas_mm.costs.onnx_export import export_to_onnx

BACKENDS = ('eager', 'compile', 'onnxruntime')


def prepare_call(net: nn.Module, x: Tensor, backend: str = 'eager') -> Callable[[], object]:
    """One forward pass as a call, already compiled or exported.

    Args:
        net: In eval mode, on the device of ``x``, batch norm fused.
        x: The input, (N, 3, H, W).
        backend: ``'eager'``: PyTorch as it is. ``'compile'``: ``torch.compile``. ``'onnxruntime'``: exported to ONNX, as many threads as PyTorch.

    Raises:
        ValueError: For an unknown backend, or one that does not work here or with this network; the message says why.
    """
    makers = {'eager': _eager, 'compile': _compile, 'onnxruntime': _onnxruntime}
    if backend not in makers:
        raise ValueError(f'backend {backend!r}; expected one of {", ".join(BACKENDS)}')
    with torch.inference_mode():
        return makers[backend](net, x)


def _eager(net: nn.Module, x: Tensor) -> Callable[[], object]:
    return partial(net, x)


def _compile(net: nn.Module, x: Tensor) -> Callable[[], object]:
    compiled = torch.compile(net)
    try:
        compiled(x)
    except (RuntimeError, ImportError) as error:  # all errors of dynamo and inductor are RuntimeErrors
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        needs = 'triton' if x.device.type == 'cuda' else 'a C++ compiler (g++) and the headers of Python'
        raise ValueError(f"backend 'compile' does not work here: {reason}; it needs {needs}; use --backend eager or onnxruntime") from None
    return partial(compiled, x)


def _onnxruntime(net: nn.Module, x: Tensor) -> Callable[[], object]:
    try:
        import onnxruntime
    except ImportError:
        raise ValueError("backend 'onnxruntime' is not installed here; pip install onnxruntime, or use --backend eager") from None
    provider = f'{x.device.type.upper()}ExecutionProvider'
    if provider not in onnxruntime.get_available_providers():
        known = ', '.join(onnxruntime.get_available_providers())
        raise ValueError(f"backend 'onnxruntime' has no {provider} here (it has {known}); install one that has, or use another --device")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'model.onnx')
        export_to_onnx(net, x, path)
        session = onnxruntime.InferenceSession(path, options, providers=[provider])
    place = (x.device.type, x.device.index or 0)
    binding = session.io_binding()  # input and output stay on the device
    image = x.contiguous()
    binding.bind_input('image', *place, 'float32', tuple(image.shape), image.data_ptr())
    for output in session.get_outputs():
        binding.bind_output(output.name, *place)

    def call() -> Tensor:
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        return image  # kept alive: the binding has its address only

    return call
