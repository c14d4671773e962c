"""Errors of data: data sets, folders of one's own, and the whole job on them."""

from __future__ import annotations

import json
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config

from hyctas_mm.datasets import IDDLiteDataset
from hyctas_mm.engine.configs import build_runner
from hyctas_mm.wizard import sizing
from hyctas_mm.wizard.semantic import look_at_semantic
from tests.test_docs.faq import ROOT, Place, needs_mmdet, provokes, said
from tests.test_wizard.test_data import coco_panoptic, folder
from tests.tiny_jobs import config, run

# Data sets ------------------------------------------------------------------------------------------------------------


def training(place: Place, **options: Any) -> None:
    """Makes ready to train a supernet, as ``tools/train.py`` does."""
    build_runner(
        config(
            'supernet',
            place.toy_root,
            place.tmp_path,
            **{f'train_dataloader.dataset.{k}': v for k, v in options.items()},
        ),
        'train',
    )


@provokes('data-empty-mim')
def _(place: Place) -> None:
    changed = {'train_dataloader.dataset.img_suffix': '.webp', 'train_dataloader.dataset.indices': None}
    run(config('supernet', place.toy_root, place.tmp_path, **changed))


@provokes('data-indices')
def _(place: Place) -> None:
    training(place, indices=100)


@provokes('data-suffix')
def _(place: Place) -> None:
    training(place, seg_map_suffix='_mask.png')


@provokes('data-label-values')
def _(place: Place) -> None:
    images, labels = place.tmp_path / 'images', place.tmp_path / 'labels'
    label = np.zeros((32, 64), np.uint8)
    label[0, :3] = 9, 12, 255
    for path, pixels in ((images / 'a.jpg', np.zeros((32, 64, 3), np.uint8)), (labels / 'a.png', label)):
        path.parent.mkdir()
        cv2.imwrite(str(path), pixels)
    steps = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='CheckLabels', num_classes=7)]
    IDDLiteDataset(
        data_root=str(place.tmp_path), data_prefix=dict(img_path='images', seg_map_path='labels'), pipeline=steps
    )[0]


@provokes('data-panoptic-json')
def _(place: Place) -> None:
    needs_mmdet()
    from hyctas_mm.datasets.panoptic import PanopticDataset

    path = place.tmp_path / 'panoptic.json'
    path.write_text(json.dumps(dict(info='none')))
    PanopticDataset(ann_file=str(path), data_prefix=dict(img='images', seg='panoptic'))


@provokes('data-panoptic-category')
def _(place: Place) -> None:
    needs_mmdet()
    from hyctas_mm.datasets.panoptic import PanopticDataset

    path = coco_panoptic(place.tmp_path) / 'panoptic_train.json'
    content = json.loads(path.read_text())
    content['annotations'][0]['segments_info'][0]['category_id'] = 99
    path.write_text(json.dumps(content))
    PanopticDataset(
        ann_file=path.name, data_root=str(place.tmp_path), data_prefix=dict(img='images/train', seg='panoptic_train')
    )


# Configs for one's own data (tools/new_search.py) ---------------------------------------------------------------------


@provokes('own-one-class')
def _(place: Place) -> str:
    return said(place, 'new_search', '--data-root', folder(place.tmp_path), '--classes', 'road')


@provokes('own-memory')
def _(place: Place) -> None:
    data = look_at_semantic(folder(place.tmp_path), ('road', 'sky', 'car'))
    base = Config.fromfile(ROOT / 'configs' / '_base_' / 'models' / 'hyctas_supernet.py').model.to_dict()
    machine = sizing.Machine(torch.device('cpu'), memory_gb=0.001, cores=2)
    geometry = sizing.choose_geometry(data.sizes, 'cpu')
    sizing.choose_plan(data, geometry, machine, base, None, len(sizing.SPACES) - 1, measure=lambda *_: 5.0)


# The whole job (tools/run_all.py) -------------------------------------------------------------------------------------


@provokes('job-step')
def _(place: Place) -> str:
    files = {kind: place.tmp_path / f'{kind}.py' for kind in ('supernet', 'search')}
    for kind, path in files.items():
        config(kind, place.tmp_path / 'nowhere', place.tmp_path).dump(str(path))
    options = ['--supernet', files['supernet'], '--search', files['search'], '--device', 'cpu']
    return said(place, 'run_all', place.tmp_path / 'work', *options, status=1)
