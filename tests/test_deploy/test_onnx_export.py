"""Export to ONNX: what the file computes, what it says about itself, what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from hyctas_mm.costs.onnx_export import export_to_onnx
from hyctas_mm.deploy import NetDescription, OnnxNet
from hyctas_mm.deploy.description import KEY
from hyctas_mm.deploy.export import ExportOptions, export_onnx
from hyctas_mm.deploy.images import class_names
from hyctas_mm.deploy.whole_net import pad_divisor
from hyctas_mm.models import layers
from hyctas_mm.registry import MODELS
from tests.test_deploy.onnx_fixtures import save, semantic_config

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def network(toy_root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp('network')
    return save(semantic_config(toy_root, folder), folder)


@pytest.fixture(scope='module')
def dynamic(network: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> OnnxNet:
    out = tmp_path_factory.mktemp('dynamic') / 'model.onnx'
    result = export_onnx(*network, out, (64, 128), ExportOptions(dynamic=('batch', 'size')))
    assert result.max_difference < 1e-4 and result.random_inputs == 5 and result.real_images == 4
    return OnnxNet(out, threads=1)


def model_of(network: tuple[Path, Path]) -> Any:
    model = MODELS.build(Config.fromfile(network[0]).model).eval()
    model.load_state_dict(torch.load(network[1], weights_only=True)['state_dict'])
    return model


@torch.no_grad()
def logits_of(model: Any, x: Tensor) -> Tensor:
    return F.interpolate(model(x), x.shape[2:], mode='bilinear', align_corners=False)


def toy_image(toy_root: Path) -> np.ndarray:
    return cv2.imread(str(next(toy_root.rglob('val/**/*.png'))))


@pytest.mark.parametrize('shape', [(1, 64, 64), (3, 65, 97), (2, 100, 131), (1, 191, 64), (1, 160, 96)])
def test_a_file_for_varying_sizes_is_right_at_others_than_the_traced_one(
    network: tuple[Path, Path], dynamic: OnnxNet, shape: tuple[int, int, int]
) -> None:
    x = torch.randn(shape[0], 3, *shape[1:])
    wanted = logits_of(model_of(network), x)
    got = torch.from_numpy(dynamic.run(x.numpy())['logits'])
    assert got.shape == wanted.shape
    assert float((got - wanted).abs().max()) < 1e-4 * float(wanted.abs().max())


def test_tracing_symbols_leaves_the_layers_as_they_were(dynamic: OnnxNet) -> None:
    from hyctas_mm.models.ops import lite_conv

    x = torch.rand(1, 1, 4, 4)
    assert lite_conv.resize is layers.resize and layers.resize(x, (4, 4)) is x


def test_the_file_describes_itself(network: tuple[Path, Path], dynamic: OnnxNet) -> None:
    found = dynamic.description
    assert (found.task, found.input_hw, found.dynamic, found.multiple) == ('semantic', (64, 128), ('batch', 'size'), 1)
    assert found.channel_order == 'bgr' and found.mean == (128.0,) * 3 and found.std == (64.0,) * 3
    assert len(found.classes) == len(found.palette) == 11 and 'road' in found.classes
    assert NetDescription.from_metadata({KEY: found.to_json()}, 'x') == found
    with pytest.raises(ValueError, match='no metadata hyctas_mm of format'):
        NetDescription.from_metadata({}, 'x.onnx')


def test_what_a_size_must_be_is_said(dynamic: OnnxNet) -> None:
    with pytest.raises(
        ValueError, match='an image of 63 x 200 pixels; the network takes heights and widths from 64 pixels up'
    ):
        dynamic(np.zeros((63, 200, 3), np.uint8))
    fixed = NetDescription('semantic', (227, 320))
    with pytest.raises(
        ValueError, match=r'an image of 320 x 227 pixels; the network takes 227 x 320 pixels \(height x width\)'
    ):
        fixed.check_size(320, 227)
    with pytest.raises(ValueError, match='multiples of 32'):
        NetDescription('semantic', (64, 64), dynamic=('size',), multiple=32).check_size(96, 100)
    with pytest.raises(ValueError, match='use 256 x 320, or let the file pad'):
        NetDescription('semantic', (227, 320), multiple=32).check()


def test_padding_is_what_mmseg_predicts_with() -> None:
    """By ``test_cfg``, whatever training pads to."""
    for options, divisor in ((dict(size_divisor=8), 1), (dict(size_divisor=8, test_cfg=dict(size_divisor=32)), 32)):
        model = nn.Module()
        model.data_preprocessor = MODELS.build(dict(type='SegDataPreProcessor', **options))
        images = [torch.zeros(3, 30, 62)]
        padded = model.data_preprocessor(dict(inputs=images, data_samples=[SegDataSample()]))['inputs'].shape
        assert pad_divisor(model) == divisor and tuple(padded) == (
            1,
            3,
            -(-30 // divisor) * divisor,
            -(-62 // divisor) * divisor,
        )


@pytest.mark.parametrize(('layout', 'order'), [('nhwc', 'rgb'), ('nchw', 'bgr')])
def test_everything_inside(toy_root: Path, tmp_path: Path, layout: str, order: str) -> None:
    """uint8 image in, classes out: the same that mmseg predicts."""
    preprocessor = dict(mean=[90.0, 110.0, 130.0], std=[50.0, 60.0, 70.0], bgr_to_rgb=True)
    cfg = semantic_config(toy_root, tmp_path, **{f'model.data_preprocessor.{k}': v for k, v in preprocessor.items()})
    config, weights = save(cfg, tmp_path)
    options = ExportOptions(outputs='classes', preprocessing=True, layout=layout, channel_order=order, images=2)
    export_onnx(config, weights, tmp_path / 'model.onnx', (64, 128), options)
    net, model, image = OnnxNet(tmp_path / 'model.onnx', threads=1), model_of((config, weights)), toy_image(toy_root)
    assert net.prepare(image).dtype == np.uint8
    x = model.data_preprocessor(dict(inputs=[torch.from_numpy(image.transpose(2, 0, 1).copy())]))['inputs']
    got = net(image)
    assert list(got) == ['classes'] and got['classes'].dtype == np.int32
    assert (got['classes'] == logits_of(model, x).argmax(1).numpy()).mean() > 0.999


def test_probabilities(network: tuple[Path, Path], toy_root: Path, tmp_path: Path) -> None:
    export_onnx(*network, tmp_path / 'model.onnx', (64, 128), ExportOptions(outputs='probabilities', images=0))
    got = OnnxNet(tmp_path / 'model.onnx', threads=1)(toy_image(toy_root))['probabilities']
    assert got.shape == (1, 11, 64, 128) and np.allclose(got.sum(1), 1, atol=1e-4)


def test_the_file_names_no_path_of_this_machine(dynamic: OnnxNet) -> None:
    text = dynamic.session._model_path
    assert str(ROOT).encode() not in Path(text).read_bytes() and b'site-packages' not in Path(text).read_bytes()


def test_a_network_that_differs_is_refused(network: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r'differs from PyTorch by .* at most 1e-12 is accepted'):
        export_onnx(*network, tmp_path / 'model.onnx', (64, 128), ExportOptions(tolerance=1e-12))
    assert not list(tmp_path.iterdir())


def test_without_images_the_reason_is_told(network: tuple[Path, Path], tmp_path: Path) -> None:
    cfg = Config.fromfile(network[0])
    cfg.val_dataloader.dataset.data_root = str(tmp_path / 'nowhere')
    result = export_onnx(cfg, network[1], tmp_path / 'model.onnx', (64, 128))
    assert result.real_images == 0 and 'no images: val_dataloader: no ' in result.why_no_images
    assert result.path.is_file()


# Layers that cannot be exported ---------------------------------------------------------------------------------------


class Untranslatable(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.linalg.svd(x).U


class Deciding(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + 1 if x.sum() > 0 else x


class Fixing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * int(x.shape[2])


def around(layer: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 3, 1), nn.ModuleDict(dict(cell=nn.Sequential(layer)))['cell']).eval()


@pytest.mark.parametrize(
    ('layer', 'words'),
    [
        (
            Untranslatable(),
            r'layer 1\.0 \(Untranslatable\) cannot be exported to ONNX: its operation aten\._linalg_svd',
        ),
        (Deciding(), r'layer 1\.0 \(Deciding\) cannot be exported to ONNX: Could not guard on data-dependent'),
    ],
)
def test_the_layer_is_named(layer: nn.Module, words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words):
        export_to_onnx(around(layer), torch.rand(1, 3, 8, 8), tmp_path / 'model.onnx')


def test_a_layer_that_fixes_the_size_is_named(tmp_path: Path) -> None:
    net, image = around(Fixing()), torch.rand(1, 3, 8, 8)
    export_to_onnx(net, image, tmp_path / 'model.onnx')  # of one size it is possible
    with pytest.raises(
        ValueError, match=r'layer 1\.0 \(Fixing\) cannot be exported to ONNX: it fixes the size of its input'
    ):
        export_to_onnx(net, image, tmp_path / 'model.onnx', dynamic={2: torch.export.Dim('height', min=4)})


def test_an_op_of_ones_own_that_cannot_be_exported_is_named(
    toy_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hyctas_mm.models.ops import Conv

    monkeypatch.setattr(Conv, 'forward', lambda self, x: Deciding.forward(self, self.conv1(x)))
    cfg = semantic_config(toy_root, tmp_path)
    for part in (cfg.model.backbone, cfg.model.decode_head):
        part.arch.branches[1][2].op = 'conv'
    config, weights = save(cfg, tmp_path)
    with pytest.raises(ValueError, match=r'layer model\.backbone\.cells\.2_1 \(Conv\) cannot be exported'):
        export_onnx(config, weights, tmp_path / 'model.onnx', (64, 128))
    assert not (tmp_path / 'model.onnx').exists()


def test_models_of_other_kinds_are_refused() -> None:
    from hyctas_mm.deploy.whole_net import task_of

    with pytest.raises(ValueError, match='Linear cannot be exported; expected one of'):
        task_of(nn.Linear(1, 1))


# The example without this package -------------------------------------------------------------------------------------

NOTHING_ELSE = """
import runpy, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('torch', 'mmengine', 'mmcv', 'mmseg', 'mmdet', 'hyctas_mm', 'onnx'):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')
"""


def run_example(*args: object) -> subprocess.CompletedProcess[str]:
    """``tools/run_onnx.py`` where torch and OpenMMLab cannot be imported."""
    command = [sys.executable, '-c', NOTHING_ELSE, ROOT / 'tools' / 'run_onnx.py', *args]
    return subprocess.run([str(a) for a in command], capture_output=True, text=True, timeout=900)


def test_the_example_needs_neither_torch_nor_openmmlab(dynamic: OnnxNet, toy_root: Path, tmp_path: Path) -> None:
    source = next(toy_root.rglob('val/**/*.png'))
    done = run_example(dynamic.session._model_path, source, tmp_path / 'out.png')
    assert done.returncode == 0, done.stderr
    labels = dynamic(cv2.imread(str(source)))['logits'][0].argmax(0)
    share = (labels == dynamic.description.classes.index('road')).mean()
    assert f'road: {share:.1%}' in done.stdout
    assert cv2.imread(str(tmp_path / 'out.png')).shape == (64, 128, 3)


def test_the_example_refuses_a_size(dynamic: OnnxNet, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / 'small.png'), np.zeros((40, 70, 3), np.uint8))
    done = run_example(dynamic.session._model_path, tmp_path / 'small.png', tmp_path / 'out.png')
    assert done.returncode == 2 and 'has 40 x 70 pixels' in done.stderr and 'takes from 64 x 64 up' in done.stderr


def test_classes_of_mmsegs_data_sets_without_images(tmp_path: Path) -> None:
    loader = dict(dataset=dict(type='CityscapesDataset', data_root=str(tmp_path / 'none')))
    names, palette = class_names(Config(dict(val_dataloader=loader)), None, 19)
    assert names[:2] == ('road', 'sidewalk') and palette[0] == (128, 64, 128)
    assert class_names(Config(dict(val_dataloader=loader)), None, 3)[0] == ('0', '1', '2')
