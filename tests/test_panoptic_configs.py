"""The panoptic configs: what their parts, names and READMEs must agree on; two steps and a test of each on tiny data
in the real folder layouts.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mmcv
import mmdet
import numpy as np
import pytest
import torch
from mmdet.datasets import ADE20KPanopticDataset, CocoPanopticDataset
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import DATASETS, MODELS, TRANSFORMS, DefaultScope
from mmengine.runner import Runner

from hyctas_mm.archs import load_arch
from hyctas_mm.datasets.panoptic import CityscapesPanoptic, PanopticInstances, toy_streets_panoptic
from hyctas_mm.datasets.panoptic.segment_ids import seg_map_from_ids
from hyctas_mm.datasets.panoptic.toy_layouts import toy_cityscapes_panoptic, toy_coco_panoptic, write_panoptic
from hyctas_mm.engine.configs import set_data_root
from hyctas_mm.evaluation.cityscapes_submission import LABEL_IDS
from hyctas_mm.models.backbones.hyctas import HyCTASBackbone
from hyctas_mm.rehearsal.shrinking import shrink
from tests.conftest import ROOT, run_script
from tests.test_datasets.panoptic_fixtures import segment
from tests.test_drop_in import differences

FOLDER = ROOT / 'configs' / 'panoptic'
CONFIGS = sorted(FOLDER.rglob('*.py'))
FPN = next(p for p in CONFIGS if p.parent.name == 'panoptic_fpn')
OURS = [p for p in CONFIGS if p != FPN]
BASELINES = [p for p in OURS if p.name.startswith('panoptic-deeplab_')]
"""Panoptic-DeepLab with backbones that are not ours."""
TOY_NAMES = (
    'person',
    'rider',
    'car',
    'bicycle',
    'road',
    'sidewalk',
    'building',
    'pole',
    'traffic sign',
    'vegetation',
    'sky',
)
SIZES = {
    'cityscapes': (8, 11),
    'coco': (80, 53),
    'coco200-133': (80, 53),
    'coco200-27': (12, 15),
    'ade20k': (100, 50),
    'toy': (4, 7),
    'nuclei': (1, 1),
}
"""Thing and stuff classes of each data set."""


def data_of(path: Path) -> str:
    """The key of a config's data set in SIZES."""
    return re.search(r'coco200-\d+', path.stem)[0] if path.parent.name == 'coco200' else path.parent.name


def is_search(path: Path) -> bool:
    return '_search_' in path.name


# What must agree ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize('path', OURS, ids=lambda p: p.stem)
def test_config(path: Path) -> None:
    cfg = Config.fromfile(path)
    cfg.model.backbone.norm_cfg.type = cfg.model.panoptic_head.norm_cfg.type = 'BN'
    with DefaultScope.overwrite_default_scope(cfg.default_scope), torch.device('meta'):
        model = MODELS.build(cfg.model)
    assert (model.panoptic_head.num_things_classes, model.panoptic_head.num_stuff_classes) == SIZES[data_of(path)]
    shared = ('search_space', 'arch', 'base_channels')
    head = {key: cfg.model.panoptic_head.get(key) for key in shared}
    assert {key: cfg.model.backbone.get(key) for key in shared} == head
    assert cfg.val_dataloader.dataset.test_mode and cfg.val_evaluator.type == 'PanopticQuality'
    assert cfg.test_evaluator.type == ('CityscapesSubmission' if '_test-split_' in path.name else 'PanopticQuality')
    assert 'PQ' in cfg.val_evaluator.metric
    if is_search(path):
        supernet = Config.fromfile(next(path.parent.glob('hyctas_supernet*.py')))
        steps = supernet.train_cfg.max_iters
        assert (
            re.search(rf'/(hyctas_supernet[^/]*)/iter_{steps}\.pth$', cfg.train_cfg.supernet)[1]
            == next(path.parent.glob('*supernet*.py')).stem
        )
        assert Config.fromfile(path).model.to_dict() == supernet.model.to_dict()
        subnet = Config.fromfile(path.parent / cfg.train_cfg.subnet_config)
        assert 'arch' in subnet.model.panoptic_head and subnet.model.panoptic_head.num_things_classes == head_things(
            cfg
        )
        assert not cfg.custom_hooks and 'PQ' in cfg.train_cfg.objectives
        return
    hooks = [hook.type for hook in cfg.get('custom_hooks') or []]
    assert ('SampleArchHook' in hooks) == ('search_space' in cfg.model.backbone) == ('_supernet_' in path.name)
    assert [s.end for s in cfg.param_scheduler if s.type == 'PolyLR'] in ([], [cfg.train_cfg.max_iters])
    assert cfg.optim_wrapper.clip_grad.max_norm == 5, 'the centre loss begins in the hundreds'


def head_things(cfg: Config) -> int:
    return cfg.model.panoptic_head.num_things_classes


@pytest.mark.parametrize('path', [p for p in OURS if not is_search(p)], ids=lambda p: p.stem)
def test_name(path: Path) -> None:
    """Batch, length and size in a config's name are those that it trains with; mmdet's crop and pad take (width,
    height).
    """
    cfg = Config.fromfile(path)
    height, width = map(int, re.search(r'-(\d+)x(\d+)$', path.stem).groups())
    steps = {step.type: step for step in cfg.train_dataloader.dataset.pipeline}
    if 'RandomCrop' in steps:
        assert tuple(steps['RandomCrop'].crop_size) == tuple(steps['Pad'].size) == (width, height)
    else:
        assert tuple(steps['Resize'].scale) == (width, height) and not steps['Resize'].keep_ratio
    batch, length, unit = re.search(r'_\d+xb(\d+)-(\d+)(k?)_', path.stem).groups()
    assert cfg.train_dataloader.batch_size == int(batch)
    assert cfg.train_cfg.max_iters == int(length) * (1000 if unit else 1)


@pytest.mark.parametrize('path', [p for p in OURS if not is_search(p)], ids=lambda p: p.stem)
def test_targets_come_after_everything_geometric(path: Path) -> None:
    order = [step.type for step in Config.fromfile(path).train_dataloader.dataset.pipeline]
    assert order[:2] == ['LoadImageFromFile', 'LoadPanoptic'] and order[-2:] == [
        'PanopticTargets',
        'PackPanopticInputs',
    ]


@pytest.mark.parametrize('path', [p for p in OURS if p.parent.name not in ('nuclei', 'toy')], ids=lambda p: p.stem)
def test_padding_has_the_colour_of_the_mean(path: Path) -> None:
    """As the test pads, after normalising."""
    cfg = Config.fromfile(path)
    for step in cfg.train_dataloader.dataset.pipeline:
        if step.type == 'Pad':
            assert list(step.pad_val['img']) == [round(value) for value in reversed(cfg.model.data_preprocessor.mean)]


@pytest.mark.parametrize(
    'path', [p for p in OURS if re.match('hyctas-[sml]_.*(cityscapes|coco-|ade20k)', p.stem)], ids=lambda p: p.stem
)
def test_published_network(path: Path) -> None:
    """S, M and L have the paper's multipliers and optimiser; on Cityscapes its batch and length."""
    cfg = Config.fromfile(path)
    name = path.stem.split('_')[0]
    multipliers = {'hyctas-s': 12, 'hyctas-m': 12, 'hyctas-l': 16}
    assert cfg.model.backbone.arch == name and cfg.model.backbone.base_channels == multipliers[name]
    assert cfg.model.backbone.norm_cfg.type == cfg.model.panoptic_head.norm_cfg.type == 'SyncBN'
    assert cfg.optim_wrapper.optimizer.to_dict() == dict(type='SGD', lr=0.005, momentum=0.9, weight_decay=5e-4)
    assert [s.to_dict() for s in cfg.param_scheduler] == [
        dict(type='PolyLR', power=0.9, eta_min=0, by_epoch=False, begin=0, end=cfg.train_cfg.max_iters)
    ]
    assert [hook.to_dict() for hook in cfg.custom_hooks] == [dict(type='ScheduledDropPathHook', max_prob=0.2)]
    coco, cityscapes = path.parent.name == 'coco', path.parent.name == 'cityscapes'
    assert cfg.train_dataloader.dataset.pipeline[-2].to_dict() == dict(
        type='PanopticTargets', sigma=10 if cityscapes else 8
    )
    hardest = dict(type='HardestPixelsCELoss', fraction=0.2)
    plain = dict(type='mmdet.CrossEntropyLoss', ignore_index=255, avg_non_ignore=True)
    assert cfg.model.panoptic_head.loss_semantic.to_dict() == (plain if coco else hardest)
    after = dict(threshold=0.1, nms_kernel=7, top_k=200, stuff_area=2048)
    assert {k: cfg.model.test_cfg[k] for k in after} == (
        after if cityscapes else after | dict(nms_kernel=41, stuff_area=4096)
    )
    gpus, batch = map(int, re.search(r'_(\d+)xb(\d+)-', path.stem).groups())
    assert gpus * batch == dict(cityscapes=32, coco=64, ade20k=16)[path.parent.name]
    assert cfg.train_cfg.max_iters == dict(cityscapes=186000, coco=200000, ade20k=160000)[path.parent.name]
    assert (
        cfg.default_hooks.checkpoint.save_best == 'PQ'
        and cfg.default_hooks.visualization.type == 'DetVisualizationHook'
    )


@pytest.mark.parametrize(
    'path', [p for p in OURS if re.search('_(supernet|subnet|overfit-8)_|_1xb8-4k_', p.stem)], ids=lambda p: p.stem
)
def test_supernets_and_short_trainings_start_with_all_pixels(path: Path) -> None:
    cfg = Config.fromfile(path)
    annealed = dict(type='HardestPixelsCELoss', fraction=0.2, anneal_steps=cfg.train_cfg.max_iters // 2)
    always = dict(type='mmdet.CrossEntropyLoss', ignore_index=255, avg_non_ignore=True)  # as the paper has it on COCO
    assert cfg.model.panoptic_head.loss_semantic.to_dict() == (always if path.parent.name == 'coco' else annealed)


@pytest.mark.parametrize('path', sorted(FOLDER.rglob('*ms-flip*.py')), ids=lambda p: p.stem)
def test_several_sizes_and_flipping_change_the_test_only(path: Path) -> None:
    ours, theirs = (Config.fromfile(p).to_dict() for p in (path, path.with_name(path.name.replace('_ms-flip', ''))))
    assert differences(ours, theirs) == {'model.test_cfg.scales', 'model.test_cfg.flip'}
    assert ours['model']['test_cfg']['flip'] and 1.0 in ours['model']['test_cfg']['scales']


@pytest.mark.parametrize('folder', sorted({p.parent for p in CONFIGS} | {FOLDER}), ids=lambda p: p.name)
def test_readme(folder: Path) -> None:
    """It names every config, and only files and folders that are there."""
    text = (folder / 'README.md').read_text()
    assert all(p.name in text for p in folder.glob('*.py'))
    assert not [
        p.name
        for p in folder.iterdir()
        if p.is_dir() and p.name != '__pycache__' and f'({p.name}/README.md)' not in text
    ]
    known = {
        p.name for top in ('configs', 'tools', 'tests', 'hyctas_mm', 'benchmarks') for p in (ROOT / top).rglob('*.py')
    }
    # mmdet's, Cityscapes', mmdet's
    known |= {
        'ade20k2coco.py',
        'createPanopticImgs.py',
        'panoptic-fpn_r50_fpn_1x_coco.py',
    }
    assert {Path(name).name for name in re.findall(r'[\w./-]+\.py\b', text)} <= known
    links = [link for link in re.findall(r'\]\(([^)#]+)', text) if '://' not in link]
    assert not [link for link in links if not (folder / link).exists()]


# Tiny data in the real layouts ----------------------------------------------------------------------------------------


def ade20k(root: Path) -> None:
    meta = ADE20KPanopticDataset.METAINFO
    for split, folder, count in (('train', 'training', 6), ('val', 'validation', 2)):
        name = f'ade20k_panoptic_{split}'
        write_panoptic(
            root,
            f'images/{folder}',
            name,
            f'{name}.json',
            meta['thing_classes'],
            meta['stuff_classes'],
            count,
            f'ADE_{split}_',
        )


def coco200(root: Path) -> None:
    meta = CocoPanopticDataset.METAINFO
    for split, count in (('train', 6), ('val', 2)):
        write_panoptic(
            root,
            f'images/{split}',
            f'panoptic_{split}',
            f'panoptic_{split}.json',
            meta['thing_classes'],
            meta['stuff_classes'],
            count,
        )
        groups = [f'thing {n}' for n in range(12)], [f'stuff {n}' for n in range(15)]
        write_panoptic(root, f'images/{split}', f'panoptic27_{split}', f'panoptic27_{split}.json', *groups, count)


def nuclei(root: Path) -> None:
    for split, count in (('train', 6), ('val', 2)):
        write_panoptic(
            root, f'images/{split}', f'panoptic_{split}', f'panoptic_{split}.json', ['nucleus'], ['background'], count
        )


def toy(root: Path) -> None:
    toy_streets_panoptic(root, num_train=6, num_val=2, height=64, width=128)


LAYOUTS: dict[str, Callable[[Path], None]] = dict(
    cityscapes=toy_cityscapes_panoptic, coco=toy_coco_panoptic, ade20k=ade20k, coco200=coco200, nuclei=nuclei, toy=toy
)


@pytest.fixture(scope='module')
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder of each data set."""
    out = {}
    for name, make in LAYOUTS.items():
        out[name] = tmp_path_factory.mktemp(name)
        make(out[name])
    return out


def read(path: Path, roots: dict[str, Path], work_dir: Path) -> Config:
    """A config on the tiny data and for a CPU: narrow, small crops, two steps; the schedule stays as long as it is."""
    cfg = Config.fromfile(path)
    set_data_root(cfg, str(roots['coco' if path == FPN else path.parent.name]))
    shrink(cfg)
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if cfg[name].dataset.get('indices'):
            cfg[name].dataset.indices = [0, 1, 2, 3] if name == 'train_dataloader' else [4, 5]
        for step in cfg[name].dataset.pipeline:
            if step.type == 'RandomChoice':  # nuclei
                step.transforms = [[dict(type='Resize', scale_factor=1.0, keep_ratio=True)]]
    cfg.work_dir, cfg.experiment_name, cfg.log_level = str(work_dir), f'panoptic-{time.monotonic_ns()}', 'ERROR'
    return cfg


class Losses(Hook):
    """The losses of each step."""

    def __init__(self) -> None:
        self.steps: list[dict[str, float]] = []

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        self.steps.append({name: float(value) for name, value in outputs.items()})


def train(cfg: Config) -> tuple[Runner, list[dict[str, float]]]:
    """Trains, and tells the losses of each step."""
    runner, losses = Runner.from_cfg(cfg), Losses()
    runner.register_hook(losses)
    runner.train()
    return runner, losses.steps


@pytest.mark.parametrize('path', [p for p in OURS if not is_search(p)], ids=lambda p: p.stem)
def test_batches_have_the_size_of_the_name(path: Path, roots: dict[str, Path], tmp_path: Path) -> None:
    cfg = Config.fromfile(path)
    set_data_root(cfg, str(roots[path.parent.name]))
    height, width = map(int, re.search(r'-(\d+)x(\d+)$', path.stem).groups())
    with DefaultScope.overwrite_default_scope('mmdet'):
        dataset = DATASETS.build(dict(cfg.train_dataloader.dataset, indices=None))
    things, stuff = SIZES[data_of(path)]
    if path.parent.name != 'toy':
        assert (len(dataset.metainfo['thing_classes']), len(dataset.metainfo['stuff_classes'])) == (things, stuff)
    for number in range(3):
        sample = dataset[number]
        labels, maps = sample['data_samples'].gt_sem_seg.sem_seg, sample['data_samples'].gt_panoptic_maps
        assert sample['inputs'].shape == (3, height, width) and labels.shape == (1, height, width) == maps.center.shape
        assert set(labels.unique().tolist()) <= {*range(things + stuff), 255}
    assert any(dataset[n]['data_samples'].gt_panoptic_maps.center.max() == 1 for n in range(3)), (
        'no image has an instance'
    )


def assert_finite(steps: list[dict[str, float]], names: set[str]) -> None:
    assert len(steps) == 2 and names <= set(steps[0])
    assert all(math.isfinite(value) for losses in steps for value in losses.values())


LOSSES = {'loss', 'loss_semantic', 'loss_center', 'loss_offset'}
LIKE_L = [p for p in OURS if p.parent.name in ('coco', 'ade20k') and re.match('hyctas-[sm]_', p.name)]
SAME = [p for p in BASELINES if p.parent.name != 'nuclei']  # too large to train here
FIXED = [p for p in OURS if not re.search('_(search|supernet|test-split)_', p.name) and p not in (*LIKE_L, *SAME)]


@pytest.mark.parametrize('path', LIKE_L, ids=lambda p: p.stem)
def test_s_and_m_differ_from_l_in_the_network_only(path: Path) -> None:
    """So L's steps, below, stand for theirs."""
    ours, large = Config.fromfile(path), Config.fromfile(path.with_name(re.sub('-[sm]_', '-l_', path.name)))
    parts = [f'model.{part}.{key}' for part in ('backbone', 'panoptic_head') for key in ('arch', 'base_channels')]
    assert {d.split(':')[0] for d in differences(ours.to_dict(), large.to_dict())} - {
        'part.arch',
        'part.base_channels',
    } == {*parts}


@pytest.mark.parametrize('path', BASELINES, ids=lambda p: p.stem)
def test_baselines_are_trained_as_a_network_of_ours(path: Path) -> None:
    """But for the network, which has no paths to drop; so that network's steps stand for theirs."""
    counterpart = min(path.parent.glob(f'hyctas*_{path.name.split("_", 2)[2]}'))
    ours, theirs = Config.fromfile(path), Config.fromfile(counterpart)
    assert ours.model.panoptic_head.loss_semantic == theirs.model.panoptic_head.loss_semantic
    assert not ours.get('custom_hooks') and len(theirs.get('custom_hooks') or []) == (path.parent.name != 'nuclei')
    found = {d.split(':')[0] for d in differences(ours.to_dict(), theirs.to_dict())}
    allowed = r'model\.(backbone|panoptic_head)\b|(part|norm_cfg|channels|custom_hooks|max_iters)\b'
    assert not [d for d in found if not re.match(allowed, d)] and 'model.backbone.type' in found


@pytest.mark.slow
def test_what_is_sent_to_the_test_server(roots: dict[str, Path], tmp_path: Path) -> None:
    """Segments in COCO's format and PNGs of classes, by the classes' numbers in cityscapesscripts."""
    path = next(p for p in OURS if '_test-split_' in p.name)
    cfg = read(path, roots, tmp_path)
    folder = roots['cityscapes'] / 'leftImg8bit'
    cfg.test_evaluator.out_dir = str(tmp_path / 'out')
    assert cfg.test_dataloader.dataset.metainfo.classes == list(CityscapesPanoptic.METAINFO['classes'])
    runner = Runner.from_cfg(cfg)
    assert runner.test() == dict(images=2)
    content = json.loads((tmp_path / 'out' / 'panoptic.json').read_text())['annotations']
    stems = sorted(p.stem.removesuffix('_leftImg8bit') for p in (folder / 'test').rglob('*.png'))
    assert [image['image_id'] for image in content] == stems
    for image in content:
        png = mmcv.imread(tmp_path / 'out' / 'panoptic' / image['file_name'])[..., ::-1].astype(int)
        ids = png @ [1, 256, 65536]
        labels = mmcv.imread(tmp_path / 'out' / 'semantic' / image['file_name'], 'unchanged')
        assert ids.shape == labels.shape == (64, 128) and image['segments_info']
        assert {s['id'] for s in image['segments_info']} == set(np.unique(ids)) - {0}
        for found in image['segments_info']:
            assert found['category_id'] in LABEL_IDS.values()
            if found['category_id'] < 24:  # stuff is what the semantic map says, a thing what most of its pixels say
                assert (labels[ids == found['id']] == found['category_id']).all()


@pytest.mark.slow
@pytest.mark.parametrize('path', FIXED, ids=lambda p: p.stem)
def test_two_steps_and_a_test(path: Path, roots: dict[str, Path], tmp_path: Path) -> None:
    """Configs that differ from another in their test only are tested only."""
    cfg = read(path, roots, tmp_path)
    if 'ms-flip' in path.name:
        cfg.model.test_cfg.scales = (0.5, 1.0)
        runner = Runner.from_cfg(cfg)
    else:
        runner, steps = train(cfg)
        assert_finite(steps, LOSSES)
        assert len(list(tmp_path.glob('best_PQ_iter_2.pth'))) == int('save_best' in cfg.default_hooks.checkpoint)
    metrics = runner.test()
    assert {'PQ', 'PQ_th', 'PQ_st', 'mIoU'} <= set(metrics) and 0 <= metrics['PQ'] <= 100
    assert ('AP' in metrics) == (path.parent.name == 'cityscapes')


@pytest.mark.slow
@pytest.mark.parametrize(
    'path', [p for p in OURS if is_search(p) and p.parent.name != 'coco'], ids=lambda p: p.parent.name
)  # COCO's are as ADE20K's, on data that L, above, trains on
def test_supernet_and_search(path: Path, roots: dict[str, Path], tmp_path: Path) -> None:
    """By panoptic quality; what it exports trains with the data and schedule of the folder's fixed network."""
    _, steps = train(read(next(path.parent.glob('hyctas_supernet_*.py')), roots, tmp_path / 'supernet'))
    assert_finite(steps, LOSSES)
    cfg = read(path, roots, tmp_path / 'search')
    assert cfg.train_cfg.objectives == ['PQ', 'latency_ms']
    cfg.train_cfg.update(
        supernet=str(tmp_path / 'supernet' / 'iter_2.pth'),
        input_hw=(64, 64),
        population=2,
        generations=1,
        branches=(1,),
    )
    cfg.train_cfg.update(calibration_batches=2, num_chosen=1, objectives=['PQ', 'macs_g'], post_processing=False)
    Runner.from_cfg(cfg).train()
    found = list((tmp_path / 'search' / 'search' / 'subnets').glob('*/config.py'))
    assert len(found) == 1
    exported, source = Config.fromfile(found[0]), Config.fromfile(path.parent / cfg.train_cfg.subnet_config)
    assert (
        exported.model.backbone.arch
        == exported.model.panoptic_head.arch
        == load_arch(found[0].parent / 'arch.json').to_dict()
    )
    for key in ('optim_wrapper', 'param_scheduler', 'train_cfg', 'custom_imports', 'default_scope'):
        assert exported[key] == source[key]
    # dumping makes lists of tuples
    ours, theirs = (json.loads(json.dumps(c.model.test_cfg)) for c in (exported, source))
    assert ours == theirs


def test_converter_draws_toy_streets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script, small = (
        'tools/dataset_converters/toy_streets_panoptic.py',
        ('--num-train', 3, '--num-val', 1, '--shape', 64, 128),
    )
    assert run_script(monkeypatch, script, tmp_path / 'toy', *small) == 0
    categories = json.loads((tmp_path / 'toy' / 'panoptic_train.json').read_text())['categories']
    assert {category['name'] for category in categories} == set(TOY_NAMES) and sum(
        category['isthing'] for category in categories
    ) == 4


# Panoptic FPN ---------------------------------------------------------------------------------------------------------


def test_panoptic_fpn_is_mmdets() -> None:
    """Nothing of the model but the backbone and the channels read from it differs; nothing of the schedule does."""
    ours = Config.fromfile(FPN)
    assert ours.pop('custom_hooks') == []
    original = Path(mmdet.__file__).parent / '.mim' / 'configs' / 'panoptic_fpn' / 'panoptic-fpn_r50_fpn_1x_coco.py'
    theirs = Config.fromfile(original)
    assert theirs.pop('custom_hooks') == []
    found = differences(ours.to_dict(), theirs.to_dict())
    changed = {
        f
        for f in found
        if not f.startswith(('model.backbone', 'val_evaluator', 'test_evaluator')) and 'pipeline' not in f
    }
    data = {f'{name}_dataloader.dataset.type' for name in ('train', 'val', 'test')}
    assert changed == {'custom_imports', 'model.neck.in_channels', 'visualizer.type'} | data
    with torch.device('meta'):
        assert ours.model.neck.in_channels == list(MODELS.build(ours.model.backbone).out_channels)


@pytest.mark.slow
def test_panoptic_fpn_trains_and_is_scored(roots: dict[str, Path], tmp_path: Path) -> None:
    cfg = read(FPN, roots, tmp_path)
    cfg.model.neck.in_channels = list(HyCTASBackbone(arch=cfg.model.backbone.arch, base_channels=2).out_channels)
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=2, val_interval=10**9)
    cfg.param_scheduler, cfg.default_hooks.checkpoint.by_epoch = None, False
    # an untrained network is sure of nothing
    cfg.model.test_cfg.rcnn.score_thr, cfg.model.test_cfg.panoptic.stuff_area_limit = (
        0.0,
        256,
    )
    (
        cfg.model.train_cfg.rcnn.sampler.num,
        cfg.model.train_cfg.rpn_proposal.max_per_img,
        cfg.model.test_cfg.rpn.max_per_img,
    ) = 16, 20, 20
    cfg.randomness = dict(seed=0)  # with other weights it may find no instance at all
    runner, steps = train(cfg)
    assert_finite(steps, {'loss_rpn_cls', 'loss_bbox', 'loss_mask', 'loss_seg'})
    metrics = runner.test()
    assert 0 <= metrics['PQ'] <= 100 and 0 <= metrics['mIoU'] <= 100
    sample = runner.model.eval().test_step(next(iter(runner.test_dataloader)))[0]
    panoptic = sample.pred_panoptic_seg.sem_seg
    assert panoptic.shape == sample.gt_panoptic_seg.sem_seg.shape
    labels, numbers = panoptic % 1000, panoptic // 1000
    assert ((numbers > 0) == (labels < 80)).all() and labels.max() <= 133, (
        'things have instances, stuff follows them, void is 133'
    )
    assert numbers.max() > 0


def instances_of(ids: np.ndarray, segments: list[dict[str, Any]]) -> dict[str, Any]:
    return PanopticInstances()(dict(gt_seg_map=seg_map_from_ids(ids.astype(np.int32)), segments_info=segments))


def test_panoptic_instances() -> None:
    """Boxes around visible masks, crowd for the semantic labels only, things that a crop has cut away left out."""
    ids = np.zeros((6, 8), np.int32)
    ids[:, :4], ids[1:4, 2:6], ids[5, 7], ids[4:, 4:6] = 9, 500, 255, 70000
    segments = [
        segment(9, 3, is_thing=False),
        segment(500, 1),
        segment(255, 0),
        segment(70000, 0, iscrowd=True),
        segment(8, 1),
    ]
    found = instances_of(ids, segments)
    assert found['gt_bboxes'].tensor.tolist() == [[2, 1, 6, 4], [7, 5, 8, 6]]
    assert found['gt_bboxes_labels'].tolist() == [1, 0] and found['gt_ignore_flags'].tolist() == [False, False]
    masks = found['gt_masks']
    assert isinstance(masks, BitmapMasks) and np.array_equal(masks.masks, np.stack([ids == 500, ids == 255]))
    labels = found['gt_seg_map']
    by_id = {int(i): set(labels[ids == i].tolist()) for i in np.unique(ids)}
    assert labels.dtype == np.int64 and by_id == {0: {255}, 9: {3}, 500: {1}, 255: {0}, 70000: {0}}
    assert TRANSFORMS.get('PanopticInstances') is PanopticInstances
    with pytest.raises(ValueError, match='LoadPanoptic'):
        PanopticInstances()(found)


def test_panoptic_instances_of_an_image_without_any() -> None:
    found = instances_of(np.full((4, 5), 9), [segment(9, 3, is_thing=False)])
    assert (
        found['gt_bboxes'].tensor.shape == (0, 4)
        and found['gt_masks'].masks.shape == (0, 4, 5)
        and not len(found['gt_bboxes_labels'])
    )


def test_the_classes_of_cityscapes_are_counted() -> None:
    assert (len(CityscapesPanoptic.METAINFO['thing_classes']), len(CityscapesPanoptic.METAINFO['classes'])) == (8, 19)
