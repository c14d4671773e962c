"""Errors of latency and of what comes after a search: report, retraining, ONNX, converting, evidence."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import torch
from mmengine.hooks import EMAHook
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from hyctas_mm.archs import load_arch
from hyctas_mm.archs.release_format import write_release
from hyctas_mm.costs import LatencyTable, check_table, prepare_call
from hyctas_mm.costs.onnx_export import SCOPES
from hyctas_mm.engine.deploy import NetDescription, OnnxNet, QuantizeOptions, quantize
from hyctas_mm.engine.deploy.images import open_dataset
from hyctas_mm.engine.deploy.whole_net import WholeNet, task_of
from hyctas_mm.engine.evidence.hypervolume import compare_searches, read_runs
from hyctas_mm.engine.evidence.rank_correlation import measure_rank_correlation
from hyctas_mm.engine.hooks import FastInferenceHook
from hyctas_mm.engine.inference import prepare_for_inference
from hyctas_mm.engine.measuring.network import from_config, keep_unused_fusions, published
from hyctas_mm.engine.onnx import OnnxResult
from hyctas_mm.engine.release_checkpoint import read_release_checkpoint, things_of, write_converted
from hyctas_mm.engine.retraining import retrain
from hyctas_mm.evaluators.trained_networks import with_iters
from hyctas_mm.registry import MODELS
from hyctas_mm.report.html import write_report
from tests.test_docs.faq import Place, provokes, said
from tests.test_engine.conftest import CONFIGS, config
from tests.test_engine.onnx_fixtures import save, semantic_config
from tests.test_engine.test_release_checkpoint import released, small

SUPERNET_CONFIG, SEARCH_CONFIG, SUBNET_CONFIG = (CONFIGS / f'toy_streets_{kind}.py' for kind in ('supernet', 'search', 'subnet'))
CPU = torch.device('cpu')

# Latency ----------------------------------------------------------------------------------------------------------------------


@provokes('latency-conditions')
def _(place: Place) -> None:
    path = place.tmp_path / 'table.json'
    LatencyTable(path, CPU, (1, 3, 64, 128)).save()
    LatencyTable(path, CPU, (1, 3, 32, 64))


@provokes('latency-broken')
def _(place: Place) -> None:
    path = place.tmp_path / 'table.json'
    path.write_text('{"format": ')
    LatencyTable(path, CPU, (1, 3, 32, 64))


@provokes('latency-table')
def _(place: Place) -> str:
    return said(place, 'benchmark', 'check-table', SEARCH_CONFIG, place.tmp_path / 'table.json', '--device', 'cpu')


@provokes('latency-space')
def _(place: Place) -> str:
    return said(place, 'benchmark', 'build-table', SUBNET_CONFIG, '--out', place.tmp_path / 'table.json', '--device', 'cpu')


@provokes('latency-config')
def _(place: Place) -> str:
    return said(place, 'benchmark', 'build-table', 'nowhere.py', '--out', place.tmp_path / 'table.json', '--device', 'cpu')


@provokes('latency-backend')
def _(place: Place) -> str:
    return said(place, 'benchmark', 'latency', SUBNET_CONFIG, '--shape', 32, 64, '--backend', 'tensorrt', '--device', 'cpu')


@provokes('latency-clock')
def _(place: Place) -> str:
    place.monkeypatch.setattr(torch, 'get_num_threads', lambda: 2)
    return said(place, 'benchmark', 'latency', SUBNET_CONFIG, '--shape', 32, 64, '--clock', 'cpu', '--device', 'cpu')


@provokes('latency-threads')
def _(place: Place) -> str:
    return said(place, 'benchmark', 'latency', SUBNET_CONFIG, '--shape', 32, 64, '--threads', 0, '--device', 'cpu')


@provokes('latency-options')
def _(place: Place) -> str:
    return said(place, 'benchmark', SUBNET_CONFIG, '--classes', 3, '--device', 'cpu')


@provokes('latency-batch')
def _(place: Place) -> str:
    return said(place, 'benchmark', 'memory', SUBNET_CONFIG, '--batch', 0, '--device', 'cpu')


@provokes('latency-release')
def _(place: Place) -> None:
    keep_unused_fusions(nn.Identity())


@provokes('latency-compile')
def _(place: Place) -> None:
    def broken(net: nn.Module) -> Callable[[torch.Tensor], object]:
        def call(x: torch.Tensor) -> object:
            raise RuntimeError('no working C++ compiler')

        return call

    place.monkeypatch.setattr(torch, 'compile', broken)
    prepare_call(nn.Identity(), torch.zeros(1), 'compile')


@provokes('latency-onnxruntime')
def _(place: Place) -> None:
    place.monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    prepare_call(nn.Identity(), torch.zeros(1), 'onnxruntime')


@provokes('latency-few')
def _(place: Place) -> None:
    check_table(LatencyTable(place.tmp_path / 'table.json', CPU, (1, 3, 32, 64)), [nn.Identity()] * 2)


@provokes('latency-size')
def _(place: Place) -> None:
    cfg = config('subnet', place.toy_root, place.tmp_path)
    cfg.test_dataloader = cfg.train_dataloader = None
    del cfg.model.data_preprocessor['size']
    cfg.dump(str(place.tmp_path / 'bare.py'))
    from_config(str(place.tmp_path / 'bare.py'), None)


@provokes('latency-channels')
def _(place: Place) -> None:
    path = place.tmp_path / 'arch.json'
    path.write_text(json.dumps(load_arch('hyctas-s').to_dict()))
    published(str(path), (32, 64), None, None, 19)


@provokes('latency-shape')
def _(place: Place) -> None:
    path = place.tmp_path / 'arch.json'
    path.write_text(json.dumps(load_arch('hyctas-s').to_dict()))
    published(str(path), None, 8, None, 19)


@provokes('latency-supernet')
def _(place: Place) -> None:
    from_config(str(SUPERNET_CONFIG), None)


@provokes('latency-network')
def _(place: Place) -> None:
    from_config('hyctas-xl', None)


# After the search -------------------------------------------------------------------------------------------------------------


@provokes('report-nothing')
def _(place: Place) -> None:
    write_report(place.tmp_path)


@provokes('report-front')
def _(place: Place) -> None:
    work_dir = place.copy_of_begun()
    (work_dir / 'search' / 'front.json').unlink()
    write_report(work_dir)


def front(place: Place, **changes: Any) -> None:
    """Reads a search whose ``front.json`` has other values."""
    work_dir = place.copy_of_begun()
    path = work_dir / 'search' / 'front.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    write_report(work_dir)


@provokes('report-json')
def _(place: Place) -> None:
    work_dir = place.copy_of_begun()
    (work_dir / 'search' / 'front.json').write_text('{')
    write_report(work_dir)


@provokes('report-other')
def _(place: Place) -> None:
    front(place, chosen=['0123456789ab'])


@provokes('report-objectives')
def _(place: Place) -> None:
    front(place, objectives=[])


@provokes('report-list')
def _(place: Place) -> None:
    front(place, front='none')


@provokes('report-archive')
def _(place: Place) -> None:
    work_dir = place.copy_of_begun()
    (work_dir / 'search' / 'archive.jsonl').write_text('')
    write_report(work_dir)


@provokes('report-score')
def _(place: Place) -> None:
    work_dir = place.copy_of_begun()
    path = work_dir / 'search' / 'archive.jsonl'
    path.write_text(path.read_text().replace('"mIoU": 30.0', '"bIoU": 30.0'))
    write_report(work_dir)


def results(place: Place, content: dict[str, Any]) -> None:
    """Reads a search, of one of whose networks the results were changed."""
    work_dir = place.copy_of_begun()
    next((work_dir / 'search' / 'subnets').iterdir()).joinpath('results.json').write_text(json.dumps(content))
    write_report(work_dir)


@provokes('report-numbers')
def _(place: Place) -> None:
    results(place, dict(retrained=dict(mIoU='good')))


@provokes('report-seeds')
def _(place: Place) -> None:
    results(place, dict(by_seed=[30.0]))


@provokes('report-out')
def _(place: Place) -> str:
    return said(place, 'report', place.begun, '--out', place.tmp_path / 'nowhere' / 'report.html')


@provokes('retrain-unfinished')
def _(place: Place) -> str:
    work_dir = place.copy_of_begun()
    shutil.rmtree(work_dir / 'search' / 'subnets')
    return said(place, 'retrain', work_dir)


@provokes('retrain-shard')
def _(place: Place) -> str:
    return said(place, 'retrain', place.begun, '--shard', 2, 2)


@provokes('retrain-start')
def _(place: Place) -> None:
    (place.tmp_path / 'results.json').write_text(json.dumps(dict(inherit=False, by_seed={'0': dict(mIoU=30.0)})))
    retrain(place.tmp_path, seed=1, inherit=True)


# ONNX -------------------------------------------------------------------------------------------------------------------------


def network(place: Place) -> tuple[Path, Path]:
    """Config and weights of a fixed network."""
    return save(semantic_config(place.toy_root, place.tmp_path), place.tmp_path)


def onnx_file(place: Place, ops: Sequence[str] = ('Conv',), described: bool = True) -> Path:
    """A file as of an export, of an op or two."""
    values = {'w': np.ones((3, 3, 1, 1), np.float32), 'scale': np.float32(1), 'zero': np.uint8(0)}
    inputs = {'Conv': ('x', 'w'), 'QuantizeLinear': ('x', 'scale', 'zero')}
    nodes = [helper.make_node(op, inputs[op], [f'y{number}'], name=f'node{number}') for number, op in enumerate(ops)]
    kinds = {'Conv': TensorProto.FLOAT, 'QuantizeLinear': TensorProto.UINT8}
    outputs = [helper.make_tensor_value_info(f'y{number}', kinds[op], (1, 3, 64, 64)) for number, op in enumerate(ops)]
    nodes[0].metadata_props.add(key=SCOPES, value=str(['model.backbone', 'conv']))  # where the layer is in the network
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()]
    image = helper.make_tensor_value_info('x', TensorProto.FLOAT, (1, 3, 64, 64))
    model = helper.make_model(helper.make_graph(nodes, 'net', [image], outputs, tensors), opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    path = place.tmp_path / 'model.onnx'
    onnx.save(model, str(path))
    if described:
        NetDescription('semantic', (64, 64), classes=('a', 'b', 'c')).write(path)
    return path


@provokes('onnx-weights')
def _(place: Place) -> str:
    config_file, _ = network(place)
    return said(place, 'export_onnx', config_file, place.supernet, '--shape', 64, 64)


@provokes('onnx-checkpoint')
def _(place: Place) -> str:
    config_file, _ = network(place)
    return said(place, 'export_onnx', config_file, place.tmp_path / 'none.pth', '--shape', 64, 64)


@provokes('onnx-multiple')
def _(place: Place) -> None:
    NetDescription('semantic', (227, 320), multiple=32).check()


@provokes('onnx-small')
def _(place: Place) -> str:
    config_file, weights = network(place)
    return said(place, 'export_onnx', config_file, weights, '--shape', 32, 32, '--dynamic', 'size')


@provokes('onnx-differs')
def _(place: Place) -> str:
    config_file, weights = network(place)

    def compare(net: WholeNet, path: Path, *_: object) -> OnnxResult:
        return OnnxResult(path, 0.25, 5, 0, '', net.description)

    place.monkeypatch.setattr('hyctas_mm.engine.onnx._write', lambda *_: None)  # slow, and nothing is wrong in it
    place.monkeypatch.setattr('hyctas_mm.engine.onnx._compare', compare)
    return said(place, 'export_onnx', config_file, weights, '--shape', 64, 64)


@provokes('onnx-model')
def _(place: Place) -> None:
    task_of(nn.Linear(1, 1))


@provokes('fast-supernet')
def _(place: Place) -> None:
    prepare_for_inference(MODELS.build(config('supernet', place.toy_root, place.tmp_path).model))


@provokes('fast-mode')
def _(place: Place) -> None:
    prepare_for_inference(nn.Conv2d(1, 1, 1), compile_mode='fast')


@provokes('fast-ema')
def _(place: Place) -> None:
    hook = FastInferenceHook()
    hook.before_test(SimpleNamespace(hooks=[hook, EMAHook()]))


@provokes('fast-cudagraph')
def _(place: Place) -> None:
    prepare_call(nn.Conv2d(3, 1, 1), torch.zeros(1, 3, 8, 8), 'cudagraph')


@provokes('onnx-missing')
def _(place: Place) -> None:
    OnnxNet(place.tmp_path / 'none.onnx')


@provokes('onnx-foreign')
def _(place: Place) -> None:
    OnnxNet(onnx_file(place, described=False))


@provokes('onnx-image-size')
def _(place: Place) -> None:
    OnnxNet(onnx_file(place)).prepare(np.zeros((48, 64, 3), np.uint8))


@provokes('onnx-run-file')
def _(place: Place) -> str:
    return said(place, 'run_onnx', place.tmp_path / 'none.onnx', 'a.png', 'b.png')


@provokes('onnx-run-image')
def _(place: Place) -> str:
    return said(place, 'run_onnx', onnx_file(place), place.tmp_path / 'none.png', place.tmp_path / 'b.png')


@provokes('int8-twice')
def _(place: Place) -> None:
    quantize(onnx_file(place, ['Conv', 'QuantizeLinear']), place.tmp_path / 'int8.onnx', [])


@provokes('int8-images')
def _(place: Place) -> None:
    quantize(onnx_file(place), place.tmp_path / 'int8.onnx', [])


@provokes('int8-keep')
def _(place: Place) -> None:
    quantize(onnx_file(place), place.tmp_path / 'int8.onnx', [], QuantizeOptions(keep=('neck',)))


@provokes('int8-no-data')
def _(place: Place) -> None:
    open_dataset(config('subnet', place.tmp_path / 'nowhere', place.tmp_path), 'train', pipeline_of='val')


# Converting and evidence --------------------------------------------------------------------------------------------------------


@provokes('convert-name')
def _(place: Place) -> None:
    write_converted({}, None, None, 'm.pt')


@provokes('evidence-few')
def _(place: Place) -> None:
    measure_rank_correlation(None, ['a.pth'], place.tmp_path, num_archs=2)


@provokes('convert-itself')
def _(place: Place) -> None:
    write_converted({}, None, None, 'm.pth', 'm.pth')


@provokes('convert-genotype')
def _(place: Place) -> str:
    source = place.tmp_path / 'm.pth'
    return said(place, 'model_converters/hyctas2mmseg', source, place.tmp_path / 'out.pth', '--genotype', place.tmp_path / 'none.json')


@provokes('convert-tensors')
def _(place: Place) -> None:
    torch.save(dict(a=1), place.tmp_path / 'm.pth')
    read_release_checkpoint(place.tmp_path / 'm.pth')


@provokes('evidence-random')
def _(place: Place) -> str:
    return said(place, 'evidence', 'random_baseline', place.begun, '--per-track', 0)


@provokes('evidence-arch')
def _(place: Place) -> str:
    return said(place, 'evidence', 'perturb', place.begun, '--arch', 'hyctas-xl')


@provokes('evidence-iters')
def _(place: Place) -> None:
    with_iters(config('subnet', place.toy_root, place.tmp_path), 0)


@provokes('evidence-source')
def _(place: Place) -> str:
    return said(place, 'evidence', 'hypervolume', place.tmp_path / 'nowhere')


@provokes('evidence-sources')
def _(place: Place) -> str:
    return said(place, 'evidence', 'hypervolume', 'a.py', 'b.py')


@provokes('evidence-value')
def _(place: Place) -> str:
    return said(place, 'evidence', 'hypervolume', place.begun, '--ideal', 'mIoU')


@provokes('evidence-name')
def _(place: Place) -> str:
    return said(place, 'evidence', 'hypervolume', place.begun, '--ideal', 'speed=3', '--out', place.tmp_path / 'a.png')


@provokes('convert-other')
def _(place: Place) -> str:
    torch.save(released(small())[0], place.tmp_path / 'm.pth')
    (place.tmp_path / 'm.json').write_text(json.dumps(write_release(load_arch('hyctas-m'))))
    args = (place.tmp_path / 'm.pth', place.tmp_path / 'out.pth', '--genotype', place.tmp_path / 'm.json')
    return said(place, 'model_converters/hyctas2mmseg', *args)


@provokes('convert-things')
def _(place: Place) -> None:
    things_of(5)


@provokes('evidence-budget')
def _(place: Place) -> None:
    compare_searches(SimpleNamespace, (1, 2, 3), (0,), 40, 8)


@provokes('evidence-objectives')
def _(place: Place) -> None:
    for name, metric in (('a', 'macs_g'), ('b', 'params_m')):
        folder = Path(shutil.copytree(place.begun, place.tmp_path / name)) / 'search' / 'search.json'
        folder.write_text(folder.read_text().replace('"macs_g"', f'"{metric}"'))
    read_runs([str(place.tmp_path / 'a'), str(place.tmp_path / 'b')])


@provokes('evidence-epochs')
def _(place: Place) -> None:
    cfg = config('subnet', place.toy_root, place.tmp_path)
    cfg.param_scheduler = [dict(type='PolyLR')]
    with_iters(cfg, 10)


@provokes('evidence-frame')
def _(place: Place) -> str:
    corners = ('--ideal', 'mIoU=10', '--reference', 'mIoU=20')
    return said(place, 'evidence', 'hypervolume', place.begun, *corners, '--out', place.tmp_path / 'a.png')
