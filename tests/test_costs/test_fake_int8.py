"""INT8 in PyTorch beside the INT8 file of the same network in ONNX Runtime."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from mmcv.cnn.utils import fuse_conv_bn
from onnx import numpy_helper
from torch import Tensor, nn

from hyctas_mm.costs.fake_int8 import OUTPUT, FakeInt8, map_as_int8, plan_int8
from hyctas_mm.costs.onnx_export import export_to_onnx
from hyctas_mm.costs.onnx_int8 import write_int8
from hyctas_mm.costs.targets.on_device import open_onnxruntime
from hyctas_mm.errors import BadValue
from hyctas_mm.models.subnet import drop_training_parts, subnet_model_cfg
from hyctas_mm.registry import MODELS
from tests.conftest import supernet_cfg
from tests.test_deploy.onnx_fixtures import ARCH
from tests.tiny_jobs import SPACE

SHAPE = (1, 3, 96, 128)


class Reader:
    """Calibration images as ONNX Runtime reads them."""

    def __init__(self, images: Tensor) -> None:
        self._left = [dict(image=image[None].numpy()) for image in images]

    def get_next(self) -> dict[str, np.ndarray] | None:
        return self._left.pop(0) if self._left else None


def network() -> tuple[nn.Module, Tensor]:
    """A network with every kind of connection, batch norm that was fed, and ten images."""
    torch.manual_seed(0)
    net = MODELS.build(subnet_model_cfg(supernet_cfg(SPACE, num_classes=11), ARCH))
    for name, parameter in net.named_parameters():
        if name.endswith('gamma'):
            nn.init.constant_(parameter, 0.5)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    images = F.interpolate(torch.randn(10, 3, 12, 16), size=SHAPE[2:], mode='bilinear')
    with torch.no_grad():
        net.train()(images[:4], mode='tensor')
    return drop_training_parts(net).eval(), images


def rms(x: np.ndarray) -> float:
    return float(np.sqrt((x**2).mean()))


@pytest.mark.slow
def test_it_computes_what_the_file_computes(tmp_path: Path) -> None:
    """All ranges are the file's. The maps differ where a value lies between two steps: in a network of random weights
    that grows from layer to layer, and yet fake and file are nearer to each other than either to the float network.
    """
    net, images = network()
    fused = fuse_conv_bn(copy.deepcopy(net))
    export_to_onnx(fused, images[:1], tmp_path / 'float.onnx')
    write_int8(tmp_path / 'float.onnx', tmp_path / 'int8.onnx', Reader(images[:8]))
    graph = onnx.load(str(tmp_path / 'int8.onnx')).graph
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    scales = {node.input[1] for node in graph.node if node.op_type == 'QuantizeLinear'}
    quantised = [n for n in graph.node if n.op_type == 'Conv' and n.input[1].endswith('DequantizeLinear_Output')]

    for version in (net, fused):  # batch norm or not: the same ranges
        int8 = FakeInt8(version, plan_int8(version, SHAPE))
        int8.calibrate(lambda version=version: version(images[:8]))
        assert len(int8.plan.convs) == len(quantised)
        steps = sorted((high - low) / 255 for low, high in int8.ranges.values())
        assert steps == pytest.approx(sorted(float(values[name]) for name in scales), rel=1e-3)

    call = open_onnxruntime(tmp_path / 'int8.onnx', SHAPE, 1)
    in_file = np.concatenate([call(image[None].numpy())[0] for image in images[8:]])
    with torch.no_grad():
        floats = fused(images[8:]).numpy()
        with int8:
            fake = fused(images[8:]).numpy()
            assert np.array_equal(fused(images[8:]).numpy(), fake)
        assert np.array_equal(fused(images[8:]).numpy(), floats)  # nothing is left behind
    lost = rms(in_file - floats)
    assert rms(fake - floats) == pytest.approx(lost, rel=0.2)
    assert rms(fake - in_file) < 0.75 * lost
    assert (fake.argmax(1) == in_file.argmax(1)).mean() > (floats.argmax(1) == in_file.argmax(1)).mean() + 0.03


def test_what_lies_after_the_last_convolution_and_kept_layers_stay_float() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convs = nn.ModuleList(nn.Conv2d(3, 3, 1) for _ in range(3))

        def forward(self, x: Tensor) -> Tensor:
            return torch.sigmoid(self.convs[2](torch.relu(self.convs[1](torch.relu(self.convs[0](x))))))

    net = Net().eval()
    plan = plan_int8(net, (1, 3, 4, 4))
    assert plan.kinds == ('conv', 'relu', 'conv', 'relu', 'conv', 'sigmoid')
    assert set(plan.convs) == {0, 2} and set(plan.ranges) == {(0, 0), (1, OUTPUT), (3, OUTPUT)}
    kept = plan_int8(net, (1, 3, 4, 4), keep=['convs.1'])
    assert set(kept.convs) == {0} and set(kept.ranges) == {(0, 0), (1, OUTPUT)}
    with pytest.raises(BadValue, match='no calibration images for int8'):
        FakeInt8(net, plan).calibrate(lambda: None)


def test_steps_and_gradients() -> None:
    """256 steps with 0 among them; the gradient passes what is within the range, whole."""
    x = torch.linspace(-2, 4, 1001, requires_grad=True)
    y = map_as_int8(x, -1.0, 3.0)
    assert len(y.detach().unique()) == 256 and 0.0 in y and (x - y).abs()[(x > -1) & (x < 3)].max() < 0.51 * 4 / 255
    y.sum().backward()
    assert torch.equal(x.grad, ((x >= y.min()) & (x <= y.max())).float())
    with torch.no_grad():
        assert torch.equal(map_as_int8(x, -1.0, 3.0), y)
