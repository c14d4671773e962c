"""Errors of data: data sets, folders of one's own, and the whole job on them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import torch
from mmengine.config import Config

from hyctas_mm.archs import SearchSpace
from hyctas_mm.datasets import IDDLiteDataset
from hyctas_mm.datasets.toy_streets import generate_toy_streets
from hyctas_mm.engine.cli import build_runner
from hyctas_mm.engine.new_search import sizing
from hyctas_mm.engine.new_search.lengths import Speed, fit_hours, usual_lengths
from hyctas_mm.engine.new_search.panoptic import look_at_panoptic
from hyctas_mm.engine.new_search.semantic import look_at_semantic
from hyctas_mm.evaluation import PanopticQuality
from tests.test_docs.faq import ROOT, Place, needs_mmdet, provokes, said
from tests.test_engine.conftest import config, run
from tests.test_engine.test_new_search_data import coco_panoptic, folder

# Data sets ----------------------------------------------------------------------------------------------------------------------


def pair(place: Place, label: np.ndarray | None, part: Literal['all', 'select'] = 'all') -> IDDLiteDataset:
    """IDD-Lite with one image of 32x64, and its label if given."""
    for kind in ('images', 'labels'):
        (place.tmp_path / kind / 'train').mkdir(parents=True)
    cv2.imwrite(str(place.tmp_path / 'images' / 'train' / 'a.jpg'), np.zeros((32, 64, 3), np.uint8))
    if label is not None:
        cv2.imwrite(str(place.tmp_path / 'labels' / 'train' / 'a.png'), label.astype(np.uint8))
    steps = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='CheckLabels', num_classes=7)]
    prefix = dict(img_path='images/train', seg_map_path='labels/train')
    return IDDLiteDataset(data_root=str(place.tmp_path), data_prefix=prefix, pipeline=steps, part=part)


@provokes('data-folder')
def _(place: Place) -> None:
    IDDLiteDataset(data_root=str(place.tmp_path), data_prefix=dict(img_path='images/train', seg_map_path='labels/train'))


def training(place: Place, **options: Any) -> None:
    """Makes ready to train a supernet, as ``tools/train.py`` does."""
    build_runner(config('supernet', place.toy_root, place.tmp_path, **{f'train_dataloader.dataset.{k}': v for k, v in options.items()}), 'train')


@provokes('data-root')
def _(place: Place) -> None:
    training(place, data_root=str(place.tmp_path / 'nowhere'))


@provokes('data-empty')
def _(place: Place) -> None:
    training(place, img_suffix='.webp')


@provokes('data-empty-mim')
def _(place: Place) -> None:
    run(
        config(
            'supernet', place.toy_root, place.tmp_path, **{'train_dataloader.dataset.img_suffix': '.webp', 'train_dataloader.dataset.indices': None}
        )
    )


@provokes('data-list')
def _(place: Place) -> None:
    training(place, ann_file='train.txt')


@provokes('data-indices')
def _(place: Place) -> None:
    training(place, indices=100)


@provokes('data-suffix')
def _(place: Place) -> None:
    training(place, seg_map_suffix='_mask.png')


@provokes('data-part')
def _(place: Place) -> None:
    pair(place, np.zeros((32, 64)), 'select')


@provokes('data-label-missing')
def _(place: Place) -> None:
    pair(place, None)


@provokes('data-label-values')
def _(place: Place) -> None:
    label = np.zeros((32, 64))
    label[0, :3] = 9, 12, 255
    pair(place, label)[0]


@provokes('data-label-size')
def _(place: Place) -> None:
    pair(place, np.zeros((32, 32)))[0]


@provokes('data-toy')
def _(place: Place) -> None:
    for seed in (0, 1):
        generate_toy_streets(place.tmp_path / 'toy', num_train=1, num_val=0, height=32, width=32, seed=seed)


@provokes('data-panoptic-png')
def _(place: Place) -> None:
    needs_mmdet()
    from hyctas_mm.datasets.panoptic import LoadPanoptic

    LoadPanoptic().transform(dict(img_path='a.png', seg_map_path=None))


@provokes('data-panoptic-json')
def _(place: Place) -> None:
    needs_mmdet()
    from hyctas_mm.datasets.panoptic import PanopticDataset

    path = place.tmp_path / 'panoptic.json'
    path.write_text(json.dumps(dict(info='none')))
    PanopticDataset(ann_file=str(path), data_prefix=dict(img='images', seg='panoptic'))


@provokes('data-panoptic-ids')
def _(place: Place) -> None:
    needs_mmdet()
    from hyctas_mm.datasets.panoptic import LoadPanoptic

    path = place.tmp_path / 'a.png'
    png = np.zeros((4, 4, 3), np.uint8)
    png[0, 0] = 0, 0, 7  # BGR: id 7
    cv2.imwrite(str(path), png)
    LoadPanoptic().transform(dict(img_path='a.jpg', seg_map_path=str(path), segments_info=[], ori_shape=(4, 4)))


@provokes('data-panoptic-files')
def _(place: Place) -> None:
    needs_mmdet()
    from hyctas_mm.datasets.panoptic import PanopticDataset

    root = coco_panoptic(place.tmp_path)
    PanopticDataset(ann_file='panoptic_train.json', data_root=str(root), data_prefix=dict(img='images/val', seg='panoptic_train'))


def loaded(place: Place, change: Callable[[dict[str, Any]], object], **options: Any) -> None:
    """Opens a panoptic data set whose JSON was changed."""
    needs_mmdet()
    from hyctas_mm.datasets.panoptic import PanopticDataset

    path = coco_panoptic(place.tmp_path) / 'panoptic_train.json'
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    prefix = dict(img='images/train', seg='panoptic_train')
    PanopticDataset(ann_file=path.name, data_root=str(place.tmp_path), data_prefix=prefix, **options)


@provokes('data-panoptic-annotations')
def _(place: Place) -> None:
    loaded(place, lambda content: content['annotations'].pop())


@provokes('data-panoptic-category')
def _(place: Place) -> None:
    loaded(place, lambda content: content['annotations'][0]['segments_info'][0].update(category_id=99))


@provokes('data-panoptic-segments')
def _(place: Place) -> None:
    loaded(place, lambda content: content['annotations'][0]['segments_info'][0].update(id=0))


@provokes('data-panoptic-names')
def _(place: Place) -> None:
    loaded(place, lambda content: None, metainfo=dict(classes=('blob',)))


@provokes('data-panoptic-order')
def _(place: Place) -> None:
    loaded(place, lambda content: None, metainfo=dict(classes=('ground', 'blob')))


@provokes('data-panoptic-isthing')
def _(place: Place) -> None:
    loaded(place, lambda content: None, metainfo=dict(classes=('ground', 'blob'), thing_classes=('ground',)))


@provokes('data-panoptic-size')
def _(place: Place) -> None:
    needs_mmdet()
    from hyctas_mm.datasets.panoptic import LoadPanoptic

    cv2.imwrite(str(place.tmp_path / 'a.png'), np.zeros((4, 4, 3), np.uint8))
    LoadPanoptic().transform(dict(img_path='a.jpg', seg_map_path=str(place.tmp_path / 'a.png'), segments_info=[], ori_shape=(8, 8)))


@provokes('data-panoptic-pycocotools')
def _(place: Place) -> None:
    place.monkeypatch.setitem(sys.modules, 'pycocotools.mask', None)
    PanopticQuality(metric=['AP'])


@provokes('data-panoptic-targets')
def _(place: Place) -> None:
    needs_mmdet()
    from hyctas_mm.datasets.panoptic import PanopticTargets

    PanopticTargets().transform(dict(img_path='a.jpg'))


@provokes('data-panoptic-metric')
def _(place: Place) -> None:
    PanopticQuality(metric=['IoU'])


@provokes('data-panoptic-meta')
def _(place: Place) -> None:
    metric = PanopticQuality()
    metric.dataset_meta = dict(classes=('road',))
    metric.process({}, [])


@provokes('data-part-name')
def _(place: Place) -> None:
    IDDLiteDataset(part='half')  # type: ignore[arg-type]


@provokes('data-toy-size')
def _(place: Place) -> None:
    generate_toy_streets(place.tmp_path / 'toy', height=16)


# Configs for one's own data (tools/new_search.py) --------------------------------------------------------------------------------

CLASSES = ('road', 'sky', 'car')


@provokes('own-folder')
def _(place: Place) -> str:
    return said(place, 'new_search', '--data-root', place.tmp_path / 'nowhere', '--classes', *CLASSES)


@provokes('own-layout')
def _(place: Place) -> str:
    (place.tmp_path / 'pictures').mkdir()
    return said(place, 'new_search', '--data-root', place.tmp_path, '--classes', *CLASSES)


@provokes('own-no-classes')
def _(place: Place) -> str:
    return said(place, 'new_search', '--data-root', folder(place.tmp_path))


@provokes('own-one-class')
def _(place: Place) -> str:
    return said(place, 'new_search', '--data-root', folder(place.tmp_path), '--classes', 'road')


@provokes('own-class-twice')
def _(place: Place) -> str:
    return said(place, 'new_search', '--data-root', folder(place.tmp_path), '--classes', 'road', 'road')


@provokes('own-pairs')
def _(place: Place) -> None:
    look_at_semantic(folder(place.tmp_path), CLASSES, train=('images/train', 'labels/val'))


@provokes('own-unpaired')
def _(place: Place) -> None:
    root = folder(place.tmp_path)
    (root / 'labels' / 'train' / 'i3.png').unlink()
    look_at_semantic(root, CLASSES)


@provokes('own-few')
def _(place: Place) -> None:
    look_at_semantic(folder(place.tmp_path, count=3), CLASSES)


@provokes('own-unreadable')
def _(place: Place) -> None:
    root = folder(place.tmp_path)
    (root / 'images' / 'train' / 'i3.jpg').write_text('no picture')
    look_at_semantic(root, CLASSES)


@provokes('own-label-unreadable')
def _(place: Place) -> None:
    root = folder(place.tmp_path)
    (root / 'labels' / 'train' / 'i3.png').write_text('no picture')
    look_at_semantic(root, CLASSES)


@provokes('own-label-colour')
def _(place: Place) -> None:
    root = folder(place.tmp_path)
    cv2.imwrite(str(root / 'labels' / 'train' / 'i3.png'), np.arange(32 * 48 * 3, dtype=np.uint8).reshape(32, 48, 3))
    look_at_semantic(root, CLASSES)


@provokes('own-label-channels')
def _(place: Place) -> None:
    root = folder(place.tmp_path)
    cv2.imwrite(str(root / 'labels' / 'train' / 'i3.png'), np.ones((32, 48, 3), np.uint8))
    look_at_semantic(root, CLASSES)


@provokes('own-label-values')
def _(place: Place) -> None:
    look_at_semantic(folder(place.tmp_path, values=(0, 1, 9)), CLASSES)


@provokes('own-label-size')
def _(place: Place) -> None:
    root = folder(place.tmp_path)
    cv2.imwrite(str(root / 'labels' / 'train' / 'i3.png'), np.zeros((8, 8), np.uint8))
    look_at_semantic(root, CLASSES)


@provokes('own-ignore')
def _(place: Place) -> None:
    look_at_semantic(folder(place.tmp_path), CLASSES, ignore_index=1)


@provokes('own-size')
def _(place: Place) -> str:
    return said(place, 'new_search', '--data-root', place.toy_root, '--size', 16, 16)


def plan(place: Place, memory_gb: float, latency_ms: float | None) -> None:
    data = look_at_semantic(folder(place.tmp_path), CLASSES)
    base = Config.fromfile(ROOT / 'configs' / '_base_' / 'models' / 'hyctas_supernet.py').model.to_dict()
    machine = sizing.Machine(torch.device('cpu'), memory_gb=memory_gb, cores=2)
    geometry = sizing.choose_geometry(data.sizes, 'cpu')
    sizing.choose_plan(data, geometry, machine, base, latency_ms, len(sizing.SPACES) - 1, measure=lambda *_: 5.0)


@provokes('own-memory')
def _(place: Place) -> None:
    plan(place, 0.001, None)


@provokes('own-latency')
def _(place: Place) -> None:
    plan(place, 8.0, 4.0)


@provokes('own-hours')
def _(place: Place) -> None:
    speed = Speed(step=0.4, calibration_image=0.01, image=0.02)
    fit_hours(usual_lengths(1260, 8, 'cpu'), 0.01, speed, 1260, 140, 100, 8, SearchSpace(layers=8))


@provokes('own-configs')
def _(place: Place) -> str:
    (place.tmp_path / 'configs').mkdir()
    return said(place, 'new_search', '--data-root', place.toy_root, '--work-dir', place.tmp_path)


@provokes('own-results')
def _(place: Place) -> str:
    (place.tmp_path / 'search').mkdir()
    return said(place, 'new_search', '--data-root', place.toy_root, '--work-dir', place.tmp_path)


@provokes('own-panoptic')
def _(place: Place) -> str:
    return said(place, 'new_search', '--data-root', place.toy_root, '--work-dir', place.tmp_path, '--like', 'coco-panoptic')


@provokes('own-panoptic-options')
def _(place: Place) -> str:
    return said(place, 'new_search', '--data-root', place.toy_root, '--work-dir', place.tmp_path, '--like', 'coco-panoptic', '--classes', 'a', 'b')


@provokes('own-panoptic-things')
def _(place: Place) -> None:
    root = coco_panoptic(place.tmp_path)
    for path in root.glob('*.json'):
        path.write_text(path.read_text().replace('"isthing": 1', '"isthing": 0'))
    look_at_panoptic(root)


@provokes('own-panoptic-json')
def _(place: Place) -> None:
    root = coco_panoptic(place.tmp_path)
    (root / 'panoptic_train.json').write_text('{')
    look_at_panoptic(root)


@provokes('own-panoptic-split')
def _(place: Place) -> None:
    look_at_panoptic(coco_panoptic(place.tmp_path), train=('images/train', 'none.json'))


# The whole job (tools/run_all.py) -------------------------------------------------------------------------------------------------


@provokes('job-config')
def _(place: Place) -> str:
    return said(place, 'run_all', place.tmp_path)


def job(place: Place, data_root: Path) -> list[Any]:
    """Arguments of a job."""
    for kind in ('supernet', 'search'):
        config(kind, data_root, place.tmp_path).dump(str(place.tmp_path / f'{kind}.py'))
    return [place.tmp_path / 'work', '--supernet', place.tmp_path / 'supernet.py', '--search', place.tmp_path / 'search.py', '--device', 'cpu']


@provokes('job-file')
def _(place: Place) -> str:
    (place.tmp_path / 'work').mkdir()
    (place.tmp_path / 'work' / 'job.json').write_text('{')
    return said(place, 'run_all', *job(place, place.toy_root)[:-2])


@provokes('job-step')
def _(place: Place) -> str:
    return said(place, 'run_all', *job(place, place.tmp_path / 'nowhere'), status=1)
