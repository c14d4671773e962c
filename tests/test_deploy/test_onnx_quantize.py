"""INT8 files: what stays float, what is lost, what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import onnx
import pytest
from mmengine.config import Config
from onnx import TensorProto, helper

from hyctas_mm.costs.onnx_int8 import last_nodes
from hyctas_mm.deploy import OnnxNet, QuantizeOptions, quantize, score
from hyctas_mm.deploy.export import ExportOptions, export_onnx
from hyctas_mm.deploy.images import open_dataset, spread_images
from hyctas_mm.engine.configs import use_scope
from tests.conftest import run_script
from tests.test_deploy.onnx_fixtures import save, semantic_config

pytestmark = pytest.mark.slow

TOOL = 'tools/quantize_onnx.py'


@pytest.fixture(scope='module')
def exported(toy_root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Config and float file."""
    folder = tmp_path_factory.mktemp('network')
    config, weights = save(semantic_config(toy_root, folder), folder)
    export_onnx(config, weights, folder / 'model.onnx', (64, 128), ExportOptions(images=0))
    return config, folder / 'model.onnx'


@pytest.fixture(scope='module')
def quantized(exported: tuple[Path, Path]) -> Path:
    config, model = exported
    cfg = Config.fromfile(config)
    use_scope(cfg)
    images = spread_images(open_dataset(cfg, 'train', 'val'), 3, OnnxNet(model).description)
    assert quantize(model, model.with_name('int8.onnx'), images) == 3
    return model.with_name('int8.onnx')


def test_convolutions_are_quantised_attention_and_predictors_are_not(
    exported: tuple[Path, Path], quantized: Path
) -> None:
    graph = onnx.load(str(quantized)).graph
    makers = {name: node.op_type for node in graph.node for name in node.output}
    convolutions = [node for node in graph.node if node.op_type == 'Conv']
    assert [makers.get(node.input[1]) for node in convolutions] == ['DequantizeLinear'] * (len(convolutions) - 1) + [
        None
    ]
    assert {makers[node.input[0]] for node in graph.node if node.op_type == 'Softmax'} == {'MatMul'}
    weights = [t for t in graph.initializer if t.data_type == TensorProto.INT8 and len(t.dims) == 4]
    scales = {t.name: t for t in graph.initializer}
    assert len(weights) == len(convolutions) - 1
    # one for each channel
    assert all(scales[f'{t.name.removesuffix("_quantized")}_scale'].dims[0] == t.dims[0] for t in weights)
    assert OnnxNet(quantized).description == OnnxNet(exported[1]).description


def test_the_metric_is_the_frameworks(exported: tuple[Path, Path], quantized: Path) -> None:
    """Scored through the file, the network has the mIoU that mmseg finds, and loses little in 8 bits."""
    from mmengine.runner import Runner

    config, model = exported
    cfg = Config.fromfile(config)
    cfg.load_from, cfg.experiment_name = str(config.with_name('weights.pth')), 'test-onnx-metric'
    wanted = Runner.from_cfg(cfg).val()
    found = score(model, cfg)
    assert found['mIoU'] == pytest.approx(wanted['mIoU'], abs=0.02) and found['aAcc'] == pytest.approx(
        wanted['aAcc'], abs=0.02
    )
    assert abs(score(quantized, cfg)['aAcc'] - found['aAcc']) < 5


def test_the_command_reports_loss_and_gain(
    exported: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config, model = exported
    shutil.copy(model, tmp_path / 'model.onnx')
    assert run_script(monkeypatch, TOOL, tmp_path / 'model.onnx', config, '--images', 2, '--val-images', 2) == 0
    printed = capsys.readouterr().out
    assert 'calibrated on 2 training images' in printed and 'mIoU lost: ' in printed and 'latency: ' in printed
    result = json.loads((tmp_path / 'model.int8.json').read_text())
    assert result['metrics'].keys() == {'model.onnx', 'model.int8.onnx'} and result['calibration_images'] == 2


def test_without_calibration_images_it_is_refused(
    exported: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config, model = exported
    with pytest.raises(ValueError, match='no calibration images; quantisation needs training images'):
        quantize(model, tmp_path / 'int8.onnx', [])
    cfg = Config.fromfile(config)
    cfg.train_dataloader.dataset.data_root = str(tmp_path / 'nowhere')
    cfg.dump(str(tmp_path / 'config.py'))
    assert run_script(monkeypatch, TOOL, model, tmp_path / 'config.py', '--out', tmp_path / 'int8.onnx') == 2
    assert 'no images: train_dataloader: no folder' in capsys.readouterr().err and not (tmp_path / 'int8.onnx').exists()


def test_bad_input_is_refused(exported: tuple[Path, Path], quantized: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='is quantised already'):
        quantize(quantized, tmp_path / 'x.onnx', [])
    with pytest.raises(ValueError, match=r'no layer backbone\.nose in the file; it has backbone, '):
        quantize(exported[1], tmp_path / 'x.onnx', [], QuantizeOptions(keep=('backbone.nose',)))
    with pytest.raises(FileNotFoundError, match=r'write one with tools/export_onnx\.py'):
        OnnxNet(tmp_path / 'none.onnx')


def test_the_last_nodes_are_those_that_no_convolution_follows() -> None:
    def node(kind: str, source: str, target: str) -> onnx.NodeProto:
        return helper.make_node(kind, [source], [target], name=target)

    nodes = [
        node('Conv', 'x', 'a'),
        node('Relu', 'a', 'b'),
        node('Conv', 'b', 'c'),
        node('Resize', 'c', 'd'),
        node('Conv', 'b', 'e'),
    ]
    graph = helper.make_graph(nodes, 'g', [], [])
    assert sorted(last_nodes(graph)) == ['c', 'd', 'e']
