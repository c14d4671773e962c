"""Where a scorer keeps its images, and its scores beside those of mmengine's own loop."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.runner import ValLoop
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from hyctas_mm.archs import SearchSpace
from hyctas_mm.engine.scoring import Scorer, keep_on_device, recalibrate_bn
from hyctas_mm.evaluators import Job
from hyctas_mm.models.subnet import cut_subnet
from hyctas_mm.registry import MODELS
from hyctas_mm.studies.open_search import OpenSearch
from tests.emulated.test_scored import MODEL, SPACE, scorer
from tests.tiny_jobs import config

GPU = torch.device('cuda', 0)


def test_scores_in_8_bits() -> None:
    """Near those in floats and not the same, the same again, with the network left as it was."""
    torch.manual_seed(0)
    supernet = MODELS.build(MODEL)
    arch = SearchSpace.from_dict(SPACE).sample(np.random.default_rng(1))
    in_float, in_int8 = scorer('cpu'), scorer('cpu', ships_in='int8')
    network = in_float.recalibrated(cut_subnet(supernet, MODEL, arch))
    before = copy.deepcopy(network.state_dict())
    found = in_int8.score(network)
    assert found != in_float.score(network) and found == in_int8.score(network)
    assert found['aAcc'] == pytest.approx(in_float.score(network)['aAcc'], abs=3)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    network.test_cfg = dict(mode='slide')
    with pytest.raises(ValueError, match="mode='slide'"):
        in_int8.score(network)
    for wrong in (dict(ships_in='int4'), dict(ships_in='int8', amp=True)):
        with pytest.raises(ValueError, match="expected 'fp32', or 'int8' without amp"):
            scorer('cpu', **wrong)


class Image(torch.Tensor):
    """An image that goes to a GPU by becoming an image of the meta device."""

    def to(self, device: torch.device) -> torch.Tensor:  # type: ignore[override]
        assert device == GPU
        return torch.empty(self.shape, dtype=self.dtype, device='meta')


def batches() -> list[dict]:
    return [
        dict(inputs=[torch.zeros(3, 10, 10, dtype=torch.uint8).as_subclass(Image) for _ in range(2)]) for _ in range(2)
    ]


@pytest.mark.parametrize(('free', 'fits'), [(2400, True), (2399, False)])
def test_images_go_to_a_gpu_that_has_twice_their_size_free(
    monkeypatch: pytest.MonkeyPatch, free: int, fits: bool
) -> None:
    monkeypatch.setattr(torch.cuda, 'mem_get_info', lambda device: (free, 10**6))
    there = batches()
    assert keep_on_device(there, GPU) == fits
    assert {image.device.type for batch in there for image in batch['inputs']} == {'meta' if fits else 'cpu'}


def test_nothing_moves_to_a_cpu() -> None:
    there = batches()
    before = [image for batch in there for image in batch['inputs']]
    assert keep_on_device(there, torch.device('cpu'))
    assert all(a is b for a, b in zip(before, (image for batch in there for image in batch['inputs']), strict=True))


class ItemCalls(TorchDispatchMode):
    """Counts how often a number is asked for, which on a GPU waits for all that was begun."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def test_recalibrated_statistics_are_those_of_a_cumulative_average_bit_by_bit() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm, self.twice = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.BatchNorm2d(4, momentum=0.3)
            self.data_preprocessor = lambda batch, training: batch

        def forward(self, inputs: Tensor, mode: str) -> Tensor:
            return self.twice(self.twice(self.norm(self.conv(inputs))).relu())

    net, images = Net(), [dict(inputs=torch.randn(2, 3, 8, 8)) for _ in range(7)]
    expected = copy.deepcopy(net)
    for norm in (expected.norm, expected.twice):
        norm.momentum = None
    with torch.no_grad():
        for batch in images:
            expected.train()(**batch, mode='tensor')
    with ItemCalls() as calls:
        recalibrate_bn(net, images)
    assert calls.count == 0
    assert (net.norm.momentum, net.twice.momentum) == (0.1, 0.3) and not net.norm.training
    wanted = expected.state_dict()
    assert all(torch.equal(value, wanted[name]) for name, value in net.state_dict().items())
    before = copy.deepcopy(net.state_dict())
    net.train()(**images[0], mode='tensor')
    moved = 0.9 * before['norm.running_mean'] + 0.1 * net.conv(images[0]['inputs']).mean((0, 2, 3))
    assert torch.allclose(net.norm.running_mean, moved), 'trained on with the momentum that it had'


def test_kernels_are_not_searched_for_while_scoring(monkeypatch: pytest.MonkeyPatch) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.data_preprocessor = nn.Conv2d(3, 4, 3), lambda batch, training: batch
            self.searched: list[bool] = []

        def forward(self, inputs: Tensor, mode: str) -> None:
            self.searched.append(torch.backends.cudnn.benchmark)

        def val_step(self, batch: Any) -> list:
            self.forward(**batch, mode='predict')
            return []

    monkeypatch.setattr(torch.backends.cudnn, 'benchmark', True)
    net, scorer = Net(), Scorer.__new__(Scorer)
    scorer.ships_in = 'fp32'
    scorer.device, scorer.amp, scorer.evaluator, scorer._num_first = torch.device('cpu'), False, Evaluator([]), 0
    scorer._calibration = scorer._validation = [dict(inputs=torch.zeros(2, 3, 8, 8))]
    scorer.score(scorer.recalibrated(net))
    assert net.searched == [False, False] and torch.backends.cudnn.benchmark


@pytest.fixture(scope='module')
def opened(toy_root: Path, supernet: Path, tmp_path_factory: pytest.TempPathFactory) -> OpenSearch:
    folder = tmp_path_factory.mktemp('opened')
    return OpenSearch(config('search', toy_root, folder, **{'train_cfg.supernet': str(supernet)}), folder)


@pytest.mark.slow
def test_scores_are_those_of_mmengines_loop_and_mmsegs_metric(opened: OpenSearch) -> None:
    runner, rng, evaluator = opened.loop.runner, np.random.default_rng(0), opened.evaluator()
    archs = [opened.space.sample(rng) for _ in range(3)]
    for arch, outcome in zip(archs, evaluator.evaluate([Job(arch, {}) for arch in archs])):
        ours = outcome.metrics
        supernet, runner.model = runner.model, evaluator.network(arch)
        try:
            theirs = ValLoop(runner, runner.val_loop.dataloader, runner.val_loop.evaluator).run()
        finally:
            runner.model = supernet
        assert ours == {name: theirs[name] for name in ours} and set(ours) == {'mIoU', 'aAcc', 'mAcc'}


def test_weights_are_converted_once_to_half_precision() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def val_step(self, batch: Any) -> list:
            assert self.conv(batch['inputs']).dtype == torch.bfloat16
            return []

    class Judge(BaseMetric):
        def process(self, data_batch: Any, data_samples: Any) -> None:
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32

        def compute_metrics(self, results: list) -> dict[str, float]:
            return {}

    class Conversions(TorchDispatchMode):
        shapes: list[torch.Size] = []

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is torch.ops.aten._to_copy.default:
                self.shapes.append(args[0].shape)
            return func(*args, **(kwargs or {}))

    scorer, net = Scorer.__new__(Scorer), Net()
    scorer.ships_in = 'fp32'
    scorer.device, scorer.amp, scorer.evaluator, scorer._num_first = (
        torch.device('cpu'),
        'bfloat16',
        Evaluator([Judge()]),
        0,
    )
    scorer._validation = [dict(inputs=torch.zeros(2, 3, 8, 8)) for _ in range(3)]
    with Conversions() as conversions:
        scorer.score(net)
    assert conversions.shapes.count(net.conv.weight.shape) == 1
    assert conversions.shapes.count(scorer._validation[0]['inputs'].shape) == 3


def test_an_unknown_precision_is_named() -> None:
    with pytest.raises(ValueError, match="amp='float64'; expected True, False, or one of bfloat16, float16"):
        Scorer(None, None, Evaluator([]), 1, torch.device('cpu'), amp='float64')


@pytest.mark.slow
def test_half_precision_scores_are_close_and_not_the_same(opened: OpenSearch) -> None:
    jobs = [Job(opened.space.sample(np.random.default_rng(seed)), {}) for seed in range(3)]
    evaluators = [opened.loop.build_evaluator(amp=amp) for amp in (False, True, False)]
    full, half, again = ([outcome.metrics['aAcc'] for outcome in evaluator.evaluate(jobs)] for evaluator in evaluators)
    assert full == again
    assert half != full
    np.testing.assert_allclose(half, full, atol=3)
