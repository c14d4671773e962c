"""Runtimes: each runs the network, and says what it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hyctas_mm.costs import Target, prepare_call
from hyctas_mm.costs.targets import FileRuntime, in_openvino
from tests.conftest import compiles

CPU = torch.device('cpu')


def installed(*names: str) -> Any:
    missing = [name for name in names if find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f'{", ".join(missing)} not installed')


OPENVINO, NCNN = installed('openvino'), installed('ncnn', 'pnnx')


class Net(nn.Module):
    """What our networks are made of: convolutions, resizing, attention, concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.mix = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(16, 8, 1)
        self.last = nn.Conv2d(8, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.stem(x))
        small = F.interpolate(y, size=(4, 5), mode='bilinear', align_corners=False)
        flat = small.flatten(2).transpose(1, 2)  # (1, 8, 4, 5) -> (1, 20, 8)
        seen = F.scaled_dot_product_attention(flat[:, None], flat[:, None], flat[:, None])[:, 0]
        back = seen.transpose(1, 2).reshape(small.shape)
        back = F.interpolate(back, size=y.shape[2:], mode='bilinear', align_corners=False)
        return self.last(F.relu(self.mix(torch.cat([y, back], 1))))


class Odd(nn.Module):
    """A layer that ncnn does not have."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.det(x[..., :3, :3])[..., None, None] + x


def small_net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()


def image() -> Tensor:
    """What a call takes that is not told another image."""
    return torch.from_numpy(np.random.default_rng(0).random((1, 3, 17, 20), dtype=np.float32))


@pytest.mark.slow
@pytest.mark.parametrize('target', ['eager', 'channels_last', pytest.param('compile', marks=compiles)])
def test_a_call_is_the_network(target: str) -> None:
    net, x = small_net(), torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(prepare_call(net, x, target)(), net(x))


@pytest.mark.parametrize(
    ('runtime', 'precision', 'tolerance'),
    [
        ('onnxruntime', 'fp32', 1e-4),
        pytest.param('openvino', 'fp32', 1e-4, marks=OPENVINO),
        pytest.param('ncnn', 'fp32', 1e-4, marks=NCNN),
        ('onnxruntime', 'int8', 0.05),
        pytest.param('openvino', 'int8', 0.05, marks=OPENVINO),
    ],
)
def test_a_file_is_the_network(runtime: str, precision: str, tolerance: float) -> None:
    torch.manual_seed(0)
    net = Net().eval()
    (found,) = prepare_call(net, image(), Target(runtime, precision))()
    with torch.no_grad():
        wanted = net(image())
    difference = (torch.from_numpy(np.array(found)).reshape(wanted.shape) - wanted).abs().max() / wanted.abs().max()
    assert difference < tolerance
    assert precision == 'fp32' or difference > 1e-5, 'the file was not quantised'


@pytest.mark.skipif(not torch.cuda.is_available(), reason='records the kernels of a GPU')
def test_a_recorded_call_is_the_network() -> None:
    net, x = small_net().cuda(), torch.rand(1, 3, 8, 8, device='cuda')
    torch.testing.assert_close(prepare_call(net, x, 'cudagraph')(), net(x))


def test_targets_in_words_and_in_configs() -> None:
    assert Target() == Target.read('eager') == Target.read(dict(runtime='pytorch', mode='eager'))
    openvino = Target.read(dict(runtime='openvino', precision='int8', threads=2))
    assert str(openvino) == 'openvino int8' and Target.read(openvino.to_dict()) == openvino
    assert openvino.to_dict() == dict(runtime='openvino', precision='int8', threads=2)
    for wrong, said in [
        (dict(runtime='abacus'), "runtime 'abacus'; expected one of pytorch, onnxruntime, openvino, ncnn, tensorrt"),
        (dict(runtime='ncnn', precision='int8'), "precision 'int8' of ncnn; expected one of fp32"),
        (dict(runtime='pytorch', mode='fast'), "mode 'fast' of pytorch; expected one of eager"),
        (dict(runtime='openvino', mode='eager'), "mode 'eager' of openvino; expected none"),
        (dict(runtime='openvino', threads=0), 'threads 0 of openvino; expected 1 or more'),
        (dict(runtime='openvino', cores=1), 'target has no cores; expected some of runtime, precision'),
        ('pytorch', "target 'pytorch'; expected one of eager, channels_last"),
    ]:
        with pytest.raises(ValueError, match=said):
            Target.read(wrong)


# What cannot be said so -----------------------------------------------------------------------------------------------


def test_a_runtime_that_is_not_installed_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('hyctas_mm.costs.targets.target.find_spec', lambda name: None)
    with pytest.raises(ImportError, match=r'target ncnn: ncnn, pnnx is not installed here; pip install ncnn pnnx'):
        prepare_call(small_net(), image(), 'ncnn')


@NCNN
def test_ncnn_names_the_layer_that_it_cannot_run() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), Odd()).eval()
    with pytest.raises(ValueError, match=r'layer 1 \(Odd\) cannot run in ncnn: .*Det'):
        prepare_call(net, image(), 'ncnn')


@OPENVINO
def test_openvino_names_the_layer_that_it_cannot_run() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), Odd()).eval()
    with pytest.raises(ValueError, match=r'layer 1 \(Odd\) cannot run in openvino: .*Det'):
        prepare_call(net, image(), 'openvino')


def test_a_refusal_that_names_no_layer_is_told_as_it_is(tmp_path: Path) -> None:
    runtime: Any = Target('onnxruntime').software(Target('onnxruntime'))
    assert isinstance(runtime, FileRuntime)
    (tmp_path / 'broken.onnx').write_bytes(b'')
    with pytest.raises(ValueError, match='the network cannot run in onnxruntime: '):
        runtime.open(tmp_path / 'broken.onnx', image())


def test_targets_that_cannot_be_used_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    net, x = small_net(), torch.rand(1, 3, 8, 8)
    with pytest.raises(ValueError, match="target 'cudagraph' records the kernels of a GPU; here the device is cpu"):
        prepare_call(net, x, 'cudagraph')

    def refuse(*_: object) -> None:
        raise RuntimeError('\n no working C++ compiler found')

    monkeypatch.setattr(torch, 'compile', lambda net, dynamic: refuse)
    with pytest.raises(ValueError, match="target 'compile' does not work here:  no working C"):
        prepare_call(net, x, 'compile')
    monkeypatch.setattr('onnxruntime.get_available_providers', lambda: ['AbacusExecutionProvider'])
    with pytest.raises(ValueError, match=r'no CPUExecutionProvider here \(it has Abacus'):
        prepare_call(net, x, 'onnxruntime')


# PyTorch and GPUs -----------------------------------------------------------------------------------------------------


def test_the_ninth_network_of_a_class_is_compiled_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch.compile gives up after eight compilations of the same code, and runs it as it is without a word."""
    compiled: list[bool] = []
    whole = torch.compile

    def backend(graph: Any, inputs: Any) -> Any:
        compiled.append(any(isinstance(x, torch.SymInt) for x in inputs))
        return graph.forward

    monkeypatch.setattr(torch, 'compile', lambda function, **options: whole(function, backend=backend, **options))
    torch._dynamo.reset()
    for width in range(4, 14):
        net, x = nn.Sequential(nn.Conv2d(3, width, 3)).eval(), torch.rand(1, 3, 8, width)
        with torch.inference_mode():  # as when it is measured
            torch.testing.assert_close(prepare_call(net, x, 'compile')(), net(x))
    assert compiled == [False] * 10, 'each once, and for its own size of image'


def test_graphs_are_recorded_on_the_device_of_the_input(monkeypatch: pytest.MonkeyPatch) -> None:
    current, recorded = [0], []

    @contextmanager
    def chosen(device: torch.device) -> Iterator[None]:
        current.append(device.index)
        yield
        current.pop()

    @contextmanager
    def recording(graph: Any) -> Iterator[None]:
        recorded.append(current[-1])
        yield

    stream = SimpleNamespace(wait_stream=lambda other: None)
    monkeypatch.setattr(torch.cuda, 'device', chosen)
    monkeypatch.setattr(torch.cuda, 'Stream', lambda *_: stream)
    monkeypatch.setattr(torch.cuda, 'current_stream', lambda *_: stream)
    monkeypatch.setattr(torch.cuda, 'stream', lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, 'CUDAGraph', lambda: SimpleNamespace(replay=lambda: None))
    monkeypatch.setattr(torch.cuda, 'graph', recording)
    x = SimpleNamespace(device=torch.device('cuda', 1), shape=(1, 3, 8, 8))
    assert prepare_call(lambda given: given, x, 'cudagraph')() is x
    assert recorded == [1]


def test_onnxruntime_is_told_the_number_of_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def session(path: str, providers: list[Any]) -> None:
        raise InterruptedError(providers)

    monkeypatch.setattr('onnxruntime.get_available_providers', lambda: ['CUDAExecutionProvider'])
    monkeypatch.setattr('onnxruntime.InferenceSession', session)
    monkeypatch.setattr('hyctas_mm.costs.targets.files.export_to_onnx', lambda *_: None)
    with pytest.raises(InterruptedError) as found:
        prepare_call(small_net(), SimpleNamespace(device=torch.device('cuda', 1), shape=(1, 3, 8, 8)), 'onnxruntime')
    assert found.value.args == ([('CUDAExecutionProvider', dict(device_id=1))],)


@OPENVINO
def test_a_network_that_ends_openvino_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_openvino, 'COMPILE', 'import os; os.abort()')
    with pytest.raises(ValueError, match='OpenVINO itself ends with SIGABRT; use fp32'):
        prepare_call(nn.Conv2d(3, 4, 3).eval(), torch.rand(1, 3, 32, 32), Target.read('openvino', 'int8'))
