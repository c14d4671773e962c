"""PyTorch itself, in four ways."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from types import FunctionType

import torch
from torch import Tensor, nn

from hyctas_mm.costs.targets.target import Call, Runtime, register_runtime
from hyctas_mm.errors import BadValue


@register_runtime('pytorch')
class PyTorch(Runtime):
    """``'eager'``: as it is. ``'channels_last'``: with weights in that layout. ``'compile'``: ``torch.compile``.
    ``'cudagraph'``: recorded once, on a GPU.
    """

    packages = ('torch',)

    def prepare(self, net: nn.Module, x: Tensor) -> Call:
        makers: dict[str, Callable[..., Call]] = dict(
            eager=partial, channels_last=_channels_last, compile=_compile, cudagraph=_cudagraph
        )
        with torch.inference_mode():
            return makers[self.target.mode](net, x)


def _compile(net: nn.Module, x: Tensor) -> Call:
    compiled = torch.compile(_own_function(net), dynamic=False)
    try:
        compiled(x)
    except (RuntimeError, ImportError) as error:  # all errors of dynamo and inductor are RuntimeErrors
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        needs = 'triton' if x.device.type == 'cuda' else 'a C++ compiler (g++) and the headers of Python'
        raise BadValue(
            f"target 'compile' does not work here: {reason}; it needs {needs}; use --target eager or onnxruntime"
        ) from None
    return partial(compiled, x)


def _own_function(net: nn.Module) -> Call:
    """The network as a function whose code no other has: ``torch.compile`` counts by code how often it compiled, and
    from the ninth network of a class on would run it as it is.
    """

    def run(x: Tensor) -> object:
        return net(x)

    return FunctionType(run.__code__.replace(), run.__globals__, closure=run.__closure__)


def _channels_last(net: nn.Module, x: Tensor) -> Call:
    layout = torch.channels_last
    return partial(copy.deepcopy(net).to(memory_format=layout), x.contiguous(memory_format=layout))


def _cudagraph(net: nn.Module, x: Tensor) -> Call:
    if x.device.type != 'cuda':
        raise BadValue(
            f"target 'cudagraph' records the kernels of a GPU; here the device is {x.device.type}; use --device cuda "
            'or another --target'
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
