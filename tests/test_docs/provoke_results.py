"""Errors of latency and of what comes after a search: report, retraining, ONNX, converting."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from hyctas_mm.archs import load_arch
from hyctas_mm.costs import LatencyTable
from hyctas_mm.deploy.export import OnnxResult
from hyctas_mm.deploy.whole_net import WholeNet
from hyctas_mm.measuring.network import published
from hyctas_mm.release.checkpoint import things_of
from hyctas_mm.report.html import write_report
from tests.test_deploy.onnx_fixtures import save, semantic_config
from tests.test_docs.faq import ROOT, Place, provokes, said

CPU = torch.device('cpu')

# Latency --------------------------------------------------------------------------------------------------------------


@provokes('latency-conditions')
def _(place: Place) -> None:
    path = place.tmp_path / 'table.json'
    LatencyTable(path, CPU, (1, 3, 64, 128)).save()
    LatencyTable(path, CPU, (1, 3, 32, 64))


@provokes('latency-channels')
def _(place: Place) -> None:
    path = place.tmp_path / 'arch.json'
    path.write_text(json.dumps(load_arch('hyctas-s').to_dict()))
    published(str(path), (32, 64), None, None, 19)


# After the search -----------------------------------------------------------------------------------------------------


@provokes('report-score')
def _(place: Place) -> None:
    work_dir = place.copy_of_begun()
    path = work_dir / 'search' / 'archive.jsonl'
    path.write_text(path.read_text().replace('"mIoU": 30.0', '"bIoU": 30.0'))
    write_report(work_dir)


@provokes('retrain-shard')
def _(place: Place) -> str:
    return said(place, 'retrain', place.begun, '--shard', 2, 2)


@provokes('batch-pieces')
def _(place: Place) -> str:
    config = ROOT / 'configs' / 'quickstart' / 'toy_streets_subnet.py'
    return said(place, 'train', config, '--accumulate', '--cfg-options', 'train_dataloader.batch_size=5')


# ONNX -----------------------------------------------------------------------------------------------------------------


def network(place: Place) -> tuple[Path, Path]:
    """Config and weights of a fixed network."""
    return save(semantic_config(place.toy_root, place.tmp_path), place.tmp_path)


@provokes('onnx-differs')
def _(place: Place) -> str:
    config_file, weights = network(place)

    def compare(net: WholeNet, path: Path, *_: object) -> OnnxResult:
        return OnnxResult(path, 0.25, 5, 0, '', net.description)

    place.monkeypatch.setattr('hyctas_mm.deploy.export._write', lambda *_: None)  # slow, and nothing is wrong in it
    place.monkeypatch.setattr('hyctas_mm.deploy.export._compare', compare)
    return said(place, 'export_onnx', config_file, weights, '--shape', 64, 64)


# Converting checkpoints of the release --------------------------------------------------------------------------------


@provokes('convert-things')
def _(place: Place) -> None:
    things_of(5)
