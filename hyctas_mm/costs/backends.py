"""A network as a call, by the software that runs it."""

from __future__ import annotations

import copy
import os
import tempfile
from collections.abc import Callable
from functools import partial
from types import FunctionType

import torch
from torch import Tensor, nn

from hyctas_mm.costs.onnx_export import export_to_onnx
from hyctas_mm.errors import BadValue

BACKENDS = ('eager', 'channels_last', 'compile', 'cudagraph', 'onnxruntime')


def prepare_call(net: nn.Module, x: Tensor, backend: str = 'eager') -> Callable[[], object]:
    """One forward pass as a call, already compiled or exported.

    Args:
        net: In eval mode, on the device of ``x``, batch norm fused.
        x: The input, (N, 3, H, W).
        backend: ``'eager'``: PyTorch as it is. ``'channels_last'``: with weights in that layout. ``'compile'``:
            ``torch.compile``. ``'cudagraph'``: recorded once, on a GPU. ``'onnxruntime'``: exported to ONNX, as many
            threads as PyTorch.

    Returns:
        The call. It gives what the network gives; ``'onnxruntime'`` gives a list of its own values, on the device.

    Raises:
        ValueError: For an unknown backend, or one that does not work here or with this network; the message says why.
    """
    makers = {
        'eager': _eager,
        'channels_last': _channels_last,
        'compile': _compile,
        'cudagraph': _cudagraph,
        'onnxruntime': _onnxruntime,
    }
    if backend not in makers:
        raise BadValue(f'backend {backend!r}; expected one of {", ".join(BACKENDS)}')
    with torch.inference_mode():
        return makers[backend](net, x)


def _eager(net: nn.Module, x: Tensor) -> Callable[[], object]:
    return partial(net, x)


def _compile(net: nn.Module, x: Tensor) -> Callable[[], object]:
    compiled = torch.compile(_own_function(net), dynamic=False)
    try:
        compiled(x)
    except (RuntimeError, ImportError) as error:  # all errors of dynamo and inductor are RuntimeErrors
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        needs = 'triton' if x.device.type == 'cuda' else 'a C++ compiler (g++) and the headers of Python'
        raise BadValue(
            f"backend 'compile' does not work here: {reason}; it needs {needs}; use --backend eager or onnxruntime"
        ) from None
    return partial(compiled, x)


def _own_function(net: nn.Module) -> Callable[[Tensor], object]:
    """The network as a function whose code no other has: ``torch.compile`` counts by code how often it compiled, and
    from the ninth network of a class on would run it as it is.
    """

    def run(x: Tensor) -> object:
        return net(x)

    return FunctionType(run.__code__.replace(), run.__globals__, closure=run.__closure__)


def _channels_last(net: nn.Module, x: Tensor) -> Callable[[], object]:
    layout = torch.channels_last
    return partial(copy.deepcopy(net).to(memory_format=layout), x.contiguous(memory_format=layout))


def _cudagraph(net: nn.Module, x: Tensor) -> Callable[[], object]:
    if x.device.type != 'cuda':
        raise BadValue(
            f"backend 'cudagraph' records the kernels of a GPU; here the device is {x.device.type}; use --device cuda "
            'or another --backend'
        )
    with torch.cuda.device(x.device):  # a graph is recorded on the current one
        side = torch.cuda.Stream()  # what is only done once, as choosing kernels, must not be recorded
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                net(x)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            result = net(x)

    def call() -> object:
        graph.replay()
        return result

    return call


def _onnxruntime(net: nn.Module, x: Tensor) -> Callable[[], object]:
    try:
        import onnxruntime
    except ImportError:
        raise BadValue(
            "backend 'onnxruntime' is not installed here; pip install onnxruntime, or use --backend eager"
        ) from None
    provider = f'{x.device.type.upper()}ExecutionProvider'
    if provider not in onnxruntime.get_available_providers():
        known = ', '.join(onnxruntime.get_available_providers())
        raise BadValue(
            f"backend 'onnxruntime' has no {provider} here (it has {known}); install one that has, or use another "
            '--device'
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'model.onnx')
        export_to_onnx(net, x, path)
        place = (x.device.type, x.device.index or 0)
        chosen = [(provider, dict(device_id=place[1]))] if x.device.type == 'cuda' else [provider]
        session = onnxruntime.InferenceSession(path, options, providers=chosen)
    binding = session.io_binding()  # input and output stay on the device
    image = x.contiguous()
    binding.bind_input('image', *place, 'float32', tuple(image.shape), image.data_ptr())
    for output in session.get_outputs():
        binding.bind_output(output.name, *place)

    def call(_: Tensor = image) -> object:  # kept alive: the binding has its address only
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        return binding.get_outputs()

    return call
