"""Panoptic files: maps, classes and peaks, padding inside, instances without torch, INT8."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
import torch
from mmengine.config import Config
from onnx import numpy_helper
from torch import nn

pytest.importorskip('mmcv._ext', reason='mmdet needs mmcv with compiled operators')

from hyctas_mm.costs.fake_int8 import FakeInt8, plan_int8
from hyctas_mm.datasets.panoptic import toy_streets_panoptic
from hyctas_mm.deploy import OnnxNet, quantize, score
from hyctas_mm.deploy.export import ExportOptions, export_onnx
from hyctas_mm.deploy.images import open_dataset, spread_images
from hyctas_mm.deploy.scoring import as_logits
from hyctas_mm.engine.configs import use_scope
from hyctas_mm.engine.int8 import FLOAT_LAYERS
from hyctas_mm.models.post_processing import panoptic_from_maps
from hyctas_mm.registry import MODELS
from tests.test_deploy.onnx_fixtures import save
from tests.test_deploy.test_onnx_export import run_example
from tests.test_engine.test_panoptic_search import config as panoptic_config

pytestmark = pytest.mark.slow

SMALL = dict(
    branches=[
        [dict(op='lite_conv', width=12, down=False)],
        [dict(op='attention', width=6, down=True), dict(op='lite_conv', width=12, down=False)],
    ],
    format='hyctas_mm/arch-1',
    head_attention=True,
    head_width=12,
    low_level='s4',
    stem_width=6,
)
"""What a backbone can have besides is in semantic files, which are tested with all of it."""
RULE = dict(threshold=0.05, of_highest=0.5, nms_kernel=5, top_k=30, stuff_area=200, stuff_area_hw=(64, 128))


@pytest.fixture(scope='module')
def network(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp('panoptic')
    root = toy_streets_panoptic(folder / 'data', num_train=4, num_val=2, height=70, width=128)
    cfg = panoptic_config('subnet', root, folder, **{'train_dataloader.dataset.indices': 3})
    for part in (cfg.model.backbone, cfg.model.panoptic_head):
        part.update(arch=SMALL, base_channels=4)
    cfg.model.test_cfg = RULE
    return save(cfg, folder)


@pytest.fixture(scope='module')
def everything_inside(network: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> OnnxNet:
    out = tmp_path_factory.mktemp('inside') / 'model.onnx'
    options = ExportOptions(
        dynamic=('batch', 'size'), outputs='classes', preprocessing=True, channel_order='bgr', images=1
    )
    assert export_onnx(*network, out, (70, 128), options).max_difference < 1e-4
    return OnnxNet(out, threads=1)


@pytest.fixture(scope='module')
def fixed(network: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> OnnxNet:
    out = tmp_path_factory.mktemp('fixed') / 'model.onnx'
    export_onnx(*network, out, (96, 128), ExportOptions(images=1))
    return OnnxNet(out, threads=1)


def an_image(network: tuple[Path, Path]) -> np.ndarray:
    """A validation image of 70 x 128 pixels."""
    return cv2.imread(str(next(network[0].parent.rglob('leftImg8bit/val/**/*.png'))))


def fixed_network(network: tuple[Path, Path]) -> nn.Module:
    """mmdet's model."""
    cfg = Config.fromfile(network[0])
    use_scope(cfg)
    model: nn.Module = MODELS.build(cfg.model).eval()
    model.load_state_dict(torch.load(network[1], weights_only=True)['state_dict'])
    return model


def predicted(network: tuple[Path, Path], image: np.ndarray) -> Any:
    """What mmdet's model predicts."""
    from mmdet.structures import DetDataSample

    model = fixed_network(network)
    sample = DetDataSample(metainfo=dict(img_shape=image.shape[:2], ori_shape=image.shape[:2]))
    data = dict(inputs=[torch.from_numpy(image.transpose(2, 0, 1).copy())], data_samples=[sample])
    with torch.no_grad():
        return model.test_step(data)[0].pred_panoptic_seg.sem_seg[0].numpy()


def grouped(net: OnnxNet, image: np.ndarray) -> np.ndarray:
    """Segments by the package's rule from a file's outputs."""
    maps = as_logits({name: torch.from_numpy(x.copy()) for name, x in net(image).items()}, net.description)
    return panoptic_from_maps(
        *(maps[name][0] for name in ('logits', 'center', 'offset')), **net.description.grouping
    ).panoptic.numpy()


def test_outputs_are_named_by_what_they_hold(
    everything_inside: OnnxNet, fixed: OnnxNet, network: tuple[Path, Path]
) -> None:
    image = an_image(network)
    assert {k: (v.shape, v.dtype.name) for k, v in everything_inside(image).items()} == {
        'classes': ((1, 70, 128), 'int32'),
        'peaks': ((1, 1, 70, 128), 'float32'),
        'offset': ((1, 2, 70, 128), 'float32'),
    }
    assert list(fixed(image)) == ['logits', 'center', 'offset']  # padded to 96 x 128 and cut again
    assert 'car' in fixed.description.classes and len(fixed.description.palette) == 11
    assert fixed.description.multiple == 32 and everything_inside.description.multiple == 1


def test_segments_are_those_of_the_model(
    everything_inside: OnnxNet, fixed: OnnxNet, network: tuple[Path, Path]
) -> None:
    image = an_image(network)
    wanted = predicted(network, image)
    assert len(np.unique(wanted)) > 1
    for net in (everything_inside, fixed):
        assert (grouped(net, image) == wanted).mean() > 0.999
    other = cv2.resize(image, (111, 90))
    assert (grouped(everything_inside, other) == predicted(network, other)).mean() > 0.999


def test_a_size_that_would_need_padding_is_refused_with_the_next(network: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='use 96 x 128, or let the file pad'):
        export_onnx(*network, tmp_path / 'model.onnx', (70, 128))


def test_the_example_groups_instances_without_torch(
    everything_inside: OnnxNet, fixed: OnnxNet, network: tuple[Path, Path], tmp_path: Path
) -> None:
    image = an_image(network)
    cv2.imwrite(str(tmp_path / 'image.png'), image)
    panoptic = predicted(network, image)
    assert panoptic.max() >= 1000
    names = everything_inside.description.classes
    for net in (everything_inside, fixed):
        done = run_example(net.session._model_path, tmp_path / 'image.png', tmp_path / 'out.png')
        assert done.returncode == 0, done.stderr
        assert f'{(panoptic // 1000).max()} instances' in done.stdout
        for label, name in enumerate(names):
            assert f'{name}: {(panoptic % 1000 == label).mean():.1%}' in done.stdout


def test_a_file_of_one_size_pads_smaller_images(fixed: OnnxNet, network: tuple[Path, Path], tmp_path: Path) -> None:
    image = an_image(network)
    for name, changed in (('small', image[:50, :100]), ('large', cv2.resize(image, (128, 97)))):
        cv2.imwrite(str(tmp_path / f'{name}.png'), changed)
    done = run_example(fixed.session._model_path, tmp_path / 'small.png', tmp_path / 'out.png')
    instances = len(np.unique(grouped(fixed, image[:50, :100]) // 1000)) - 1
    assert done.returncode == 0 and f'{instances} instances' in done.stdout
    done = run_example(fixed.session._model_path, tmp_path / 'large.png', tmp_path / 'out.png')
    assert done.returncode == 2 and 'takes up to 96 x 128: resize' in done.stderr
    with pytest.raises(ValueError, match='takes up to 96 x 128 pixels'):
        fixed(cv2.resize(image, (128, 97)))


def test_int8_keeps_the_centres_and_is_scored_by_panoptic_quality(
    fixed: OnnxNet, network: tuple[Path, Path], tmp_path: Path
) -> None:
    """The file, and the same in PyTorch, by which a search scores and a training goes: ranges are equal."""
    cfg = Config.fromfile(network[0])
    source, written = Path(fixed.session._model_path), tmp_path / 'int8.onnx'
    model = fixed_network(network)
    images = list(spread_images(open_dataset(cfg, 'train', 'val'), 2, fixed.description))
    quantize(source, written, images)
    assert score(source, cfg).keys() >= {'PQ', 'mIoU'} and 0 <= score(written, cfg)['PQ'] <= 100
    inputs = [torch.from_numpy(fixed.prepare(image)) for image in images]
    int8 = FakeInt8(model, plan_int8(model, inputs[0].shape, FLOAT_LAYERS))
    int8.calibrate(lambda: [model(x, mode='tensor') for x in inputs])
    graph = onnx.load(str(written)).graph
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    scales = [float(values[n]) for n in {node.input[1] for node in graph.node if node.op_type == 'QuantizeLinear'}]
    quantised = [n for n in graph.node if n.op_type == 'Conv' and n.input[1].endswith('DequantizeLinear_Output')]
    assert len(int8.plan.convs) == len(quantised) < len([n for n in graph.node if n.op_type == 'Conv'])
    ours = sorted((high - low) / 255 for low, high in int8.ranges.values())
    assert all(min(abs(scale - step) for scale in scales) < 1e-3 * step for step in ours)
    assert len(scales) == len(ours) + 1  # both towers enlarge one map, which the file does once, as the kept layer
    image = an_image(network)
    one, other = (net(image)['offset'] for net in (fixed, OnnxNet(written)))
    assert 0 < np.abs(one - other).max() < 0.5 * np.abs(one).max()
