"""Size of the file that ships and memory to run it, from the graph, against what is written and counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mmcv.cnn.utils import fuse_conv_bn
from torch import Tensor, nn

from hyctas_mm.archs import SearchSpace
from hyctas_mm.costs import Target, shipped_size
from hyctas_mm.costs.latency_table import materialise
from hyctas_mm.engine.candidate_costs import shipped_network
from hyctas_mm.errors import BadValue
from tests.conftest import supernet_cfg


class Fork(nn.Module):
    """Two convolutions from a first one, added, and a predictor."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.arms = nn.ModuleList(nn.Conv2d(16, 32, 1) for _ in range(2))
        self.predict = nn.Conv2d(32, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        return self.predict(torch.relu(self.arms[0](x) + self.arms[1](x)))


def test_weights_and_the_peak_of_maps_by_hand() -> None:
    """At the peak are 16 channels and both arms; relu and the sum write over what nobody else reads."""
    net, n = Fork().eval(), 20 * 30
    weights = dict(fp32=4 * (448 + 2 * 544 + 132), int8=(432 + 2 * 512) + 17 * (16 + 64) + 4 * 132)
    for precision, size in dict(fp32=4, int8=1).items():
        run = shipped_size(net, (1, 3, 20, 30), precision).run_mb
        assert run * 1e6 == pytest.approx(weights[precision] + size * n * (16 + 32 + 32))
    with pytest.raises(BadValue, match="'fp16'; expected a target of fp32 or int8"):
        shipped_size(net, (1, 3, 20, 30), 'fp16')


@pytest.mark.slow
def test_files_are_as_large_as_predicted(tmp_path: Path) -> None:
    """Within 3 %, in both precisions, of a network with attention."""
    options = dict(layers=4, base_channels=4)
    arch = SearchSpace(**options).sample(np.random.default_rng(0))
    net = fuse_conv_bn(shipped_network(supernet_cfg(options), arch))
    for precision in ('fp32', 'int8'):
        target = Target('onnxruntime', precision)
        x = torch.rand(1, 3, 64, 96)
        path = target.software(target).write(materialise(net, x.device), x, tmp_path, precision)
        assert shipped_size(net, x.shape, precision).file_mb == pytest.approx(path.stat().st_size / 1e6, rel=0.03)
        assert b'/site-packages/' not in path.read_bytes()
