"""The training, supernet and search configs run on tiny data in the folders that mmseg names for Cityscapes, ADE20K
and COCO-Stuff.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import PARAM_SCHEDULERS
from mmengine.runner import Runner
from mmseg.registry import DATASETS, MODELS

from hyctas_mm.archs import load_arch
from hyctas_mm.datasets.toy.layouts import toy_ade20k, toy_cityscapes, toy_coco_stuff
from hyctas_mm.engine.configs import set_data_root
from hyctas_mm.evaluation.cityscapes_submission import LABEL_IDS
from hyctas_mm.rehearsal.shrinking import SIDE, shrink, shrink_search

FOLDER = Path(__file__).parents[1] / 'configs' / 'hyctas'
CROP = (SIDE, SIDE)
LAYOUTS: dict[str, Callable[[Path], None]] = dict(
    cityscapes=toy_cityscapes, ade20k=toy_ade20k, coco_stuff164k=toy_coco_stuff
)
FAMILIES = {
    'cityscapes': 'cityscapes/hyctas-s_4xb8-186k_cityscapes-512x1024.py',
    'release': 'cityscapes/hyctas-s-f16_release_8xb2-744k_cityscapes-512x1024.py',
    'ade20k': 'ade20k/hyctas-m_4xb4-160k_ade20k-640x640.py',
    'coco': 'coco_stuff164k/hyctas-l_4xb4-320k_coco-stuff164k-640x640.py',
}
"""One training config of each kind, and with them each published network; test_configs.py says in what the others are
like them.
"""


@pytest.fixture(scope='module')
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder of each data set."""
    out = {}
    for name, make in LAYOUTS.items():
        out[name] = tmp_path_factory.mktemp(name)
        make(out[name])
    return out


def read(name: str, roots: dict[str, Path]) -> Config:
    """A config of ours on the tiny data, otherwise as it is."""
    cfg = Config.fromfile(FOLDER / name)
    set_data_root(cfg, str(roots[name.split('/')[0]]))
    return cfg


# The real sizes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('name', 'void', 'values'),
    [
        (FAMILIES['cityscapes'], 255, range(19)),
        (FAMILIES['ade20k'], 0, range(1, 151)),
        (FAMILIES['coco'], 255, range(171)),
    ],
    ids=lambda v: v.split('/')[0] if isinstance(v, str) else '',
)
def test_labels_are_read_as_the_data_set_means_them(
    name: str, void: int, values: range, roots: dict[str, Path], tmp_path: Path
) -> None:
    cfg = read(name, roots)
    assert len(values) == cfg.model.decode_head.num_classes
    for loader, count in (('train_dataloader', 6), ('val_dataloader', 2)):
        dataset = DATASETS.build(cfg[loader].dataset)
        assert len(dataset) == count and dataset.metainfo['reduce_zero_label'] == (void == 0)
    sample = dataset[0]['data_samples']
    raw = mmcv.imread(sample.seg_map_path, 'unchanged')
    read_as = sample.gt_sem_seg.data[0].numpy()
    assert (read_as[raw == void] == 255).all() and (raw == void).any() and (raw == values[-1]).any()
    assert (read_as[raw != void] == raw[raw != void] - values[0]).all()
    assert read_as.shape == raw.shape, 'scores count the pixels of the file'
    raw[:4] = values[-1] + 1
    mmcv.imwrite(raw, str(tmp_path / 'bad.png'))
    info = dict(dataset.get_data_info(0), seg_map_path=str(tmp_path / 'bad.png'))
    with pytest.raises(ValueError, match=rf'bad\.png holds \[{len(values)}\]'):
        dataset.pipeline(info)


@pytest.mark.parametrize('name', FAMILIES.values(), ids=FAMILIES)
def test_batches_have_the_crop_of_the_name(name: str, roots: dict[str, Path]) -> None:
    cfg = read(name, roots)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    preprocessor = MODELS.build(cfg.model.data_preprocessor)
    height, width = map(int, Path(name).stem.split('-')[-1].split('x'))
    samples = [dataset[0], dataset[1]]
    batch = dict(inputs=[s['inputs'] for s in samples], data_samples=[s['data_samples'] for s in samples])
    out = preprocessor(batch, training=True)
    assert out['inputs'].shape == (2, 3, height, width) and out['inputs'].dtype == torch.float32
    for sample in out['data_samples']:
        assert sample.gt_sem_seg.data.shape == (1, height, width)
        labels = set(sample.gt_sem_seg.data.unique().tolist())
        assert len(labels - {255}) > 1 and labels <= {*range(cfg.model.decode_head.num_classes), 255}


@pytest.mark.parametrize('folder', LAYOUTS)
def test_images_that_recalibrate_are_of_one_size(folder: str, roots: dict[str, Path]) -> None:
    """Batch norm is recalculated on batches, which are not padded."""
    cfg = read(f'{folder}/' + min((FOLDER / folder).glob('hyctas_search_*.py')).name, roots)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    assert {tuple(dataset[n]['inputs'].shape[1:]) for n in range(6)} == {tuple(cfg.model.data_preprocessor.size)}
    assert cfg.train_dataloader.batch_size * cfg.train_cfg.calibration_batches in range(1000, 1017)


def test_the_release_resizes_to_its_shortest_edges(roots: dict[str, Path]) -> None:
    cfg = read(FAMILIES['release'], roots)
    resize = next(t for t in cfg.train_dataloader.dataset.pipeline if t.type == 'RandomChoiceResize')
    pipeline = [t for t in cfg.train_dataloader.dataset.pipeline if t.type != 'RandomCrop']
    dataset = DATASETS.build(dict(cfg.train_dataloader.dataset, pipeline=pipeline))
    heights = []
    for n in range(8):
        height, width = dataset[n % 6]['inputs'].shape[1:]
        assert width == 2 * height and height in resize.scales
        heights.append(height)
    assert (
        len(set(heights)) > 2 and min(resize.scales) == 512 and max(resize.scales) == 2048 and len(resize.scales) == 16
    )


# Two steps of training, and a test ------------------------------------------------------------------------------------


class Recorder(Hook):
    """What a training run did, step by step."""

    def __init__(self) -> None:
        self.lrs: list[float] = []
        self.losses: list[dict[str, float]] = []
        self.drop_probs: list[list[float]] = []
        self.shapes: list[tuple[int, ...]] = []

    priority = 'LOWEST'

    def before_train(self, runner: Runner) -> None:
        runner.model.backbone.register_forward_pre_hook(lambda _, args: self.shapes.append(tuple(args[0].shape)))

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        self.lrs.append(runner.optim_wrapper.get_lr()['lr'][0])
        ops = [m for m in runner.model.backbone.modules() if getattr(m, 'droppable', False)]
        self.drop_probs.append(sorted({op.drop_path.drop_prob for op in ops}))

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        self.losses.append({k: float(v) for k, v in outputs.items()})


def small(cfg: Config, work_dir: Path) -> Config:
    """The same config for a CPU, in its own folder."""
    shrink(cfg)
    cfg.work_dir, cfg.experiment_name, cfg.log_level = str(work_dir), f'layout-{time.monotonic_ns()}', 'ERROR'
    return cfg


def train(cfg: Config) -> tuple[Runner, Recorder]:
    runner, recorder = Runner.from_cfg(cfg), Recorder()
    runner.register_hook(recorder)
    runner.train()
    return runner, recorder


@pytest.mark.parametrize('name', FAMILIES.values(), ids=FAMILIES)
def test_two_steps_and_a_test(name: str, roots: dict[str, Path], tmp_path: Path) -> None:
    cfg = read(name, roots)
    max_iters = cfg.train_cfg.max_iters
    runner, seen = train(small(cfg, tmp_path))
    assert seen.shapes[:2] == [(2, 3, *CROP)] * 2, 'images smaller than the crop are padded'
    if name == FAMILIES['release']:
        assert seen.lrs == pytest.approx([5e-6, 5.046264430383423e-06], rel=1e-9)
        assert not any(type(h).__name__ == 'ScheduledDropPathHook' for h in runner.hooks)
        assert seen.drop_probs == [[0.0], [0.0]]
    else:
        assert seen.lrs == pytest.approx([0.005, 0.005 * (1 - 1 / (max_iters - 1)) ** 0.9], rel=1e-9)
        assert seen.drop_probs == [[0.0], pytest.approx([0.1])]  # halfway to 0.2
    for losses in seen.losses:
        assert {'loss', 'decode.loss_ce', 'decode.aux16.loss_ce', 'decode.aux32.loss_ce'} <= set(losses)
        assert all(math.isfinite(v) for v in losses.values())
        assert losses['loss'] == pytest.approx(
            sum(v for k, v in losses.items() if k.startswith('decode.') and 'loss' in k), rel=1e-5
        )
        # Near the logarithm of the number of classes in the mean, above it for the hardest pixels; aux heads count a
        # fifth.
        assert 0.5 * math.log(cfg.model.decode_head.num_classes) < losses['decode.loss_ce'] < 40
    assert len(list(tmp_path.glob('best_mIoU_iter_2.pth'))) == 1
    metrics = runner.test()
    assert {'mIoU', 'mAcc', 'aAcc'} <= set(metrics)
    assert all(0 <= metrics[k] <= 100 for k in ('mIoU', 'mAcc', 'aAcc'))


SEARCHES = dict(
    cityscapes='hyctas_search_sml_cityscapes-256x512.py',  # the largest space, and the paper's filters
    ade20k='hyctas_search_ade20k-320x320.py',
    coco_stuff164k='hyctas_search_coco-stuff164k-320x320.py',
)


@pytest.mark.slow
@pytest.mark.parametrize('folder', LAYOUTS)
def test_supernet_and_search(folder: str, roots: dict[str, Path], tmp_path: Path) -> None:
    search = f'{folder}/{SEARCHES[folder]}'
    name = f'{folder}/{Path(read(search, roots).train_cfg.supernet).parent.name}.py'
    cfg = read(name, roots)
    _, seen = train(small(cfg, tmp_path / 'supernet'))
    assert all(math.isfinite(losses['loss']) for losses in seen.losses) and len(seen.losses) >= 2
    # by epoch; else by step of an epoch of Cityscapes
    decay = 1 if folder == 'cityscapes' else 0.992 ** (1 / (2975 // 16))
    assert seen.lrs[:2] == pytest.approx([0.02, 0.02 * decay], rel=1e-9)

    cfg = small(read(search, roots), tmp_path / 'search')
    checkpoint = next((tmp_path / 'supernet').glob('[ei]*_[0-9].pth'))
    assert checkpoint.name.split('_')[0] == Path(cfg.train_cfg.supernet).name.split('_')[0], (
        'the kind of checkpoint that the search names'
    )
    if 'bounds' in cfg.train_cfg:
        assert list(cfg.train_cfg.bounds) == ['latency_ms', 'memory_gb', 'mIoU']
        cfg.train_cfg.bounds.pop('latency_ms')  # no clock in a test
    shrink_search(cfg)
    cfg.train_cfg.update(supernet=str(checkpoint), generations=1, branches=(2,), num_chosen=1)
    cfg.train_cfg.objectives = ['mIoU', 'macs_g']
    Runner.from_cfg(cfg).train()
    found = list((tmp_path / 'search' / 'search' / 'subnets').glob('*/config.py'))
    assert len(found) == 1
    exported, source = Config.fromfile(found[0]), Config.fromfile(FOLDER / folder / cfg.train_cfg.subnet_config)
    assert exported.model.backbone.arch == load_arch(found[0].parent / 'arch.json').to_dict()
    assert exported.train_dataloader.dataset.data_root == str(roots[folder])
    for key in ('optim_wrapper', 'param_scheduler', 'train_cfg', 'custom_hooks'):
        assert exported[key] == source[key]
    assert exported.model.decode_head.loss_decode == source.model.decode_head.loss_decode
    assert (
        exported.model.backbone.base_channels == cfg.train_cfg.get('handover', dict(base_channels=2))['base_channels']
    )


def test_what_is_sent_to_the_test_server(roots: dict[str, Path], tmp_path: Path) -> None:
    """One PNG for each test image, of the classes' numbers in cityscapesscripts."""
    cfg = small(read('cityscapes/hyctas-s_4xb8-186k_test-split_cityscapes-512x1024.py', roots), tmp_path)
    cfg.test_evaluator.out_dir = str(tmp_path / 'out')
    assert Runner.from_cfg(cfg).test() == dict(images=2)
    written = sorted((tmp_path / 'out' / 'semantic').iterdir())
    assert [path.name for path in written] == [f'munster_{n:06d}_000019.png' for n in range(2)]
    for path in written:
        labels = mmcv.imread(path, 'unchanged')
        assert labels.shape == (64, 128) and set(np.unique(labels)) <= set(LABEL_IDS.values())


# The release's learning rates -----------------------------------------------------------------------------------------

RELEASE_LR = {
    0: 5e-06,
    1: 5.046264430383423e-06,
    500: 0.0005000000000000238,
    999: 0.04954159724464308,
    1000: 0.05,
    1001: 0.04999975675669102,
    50000: 0.037905346093631054,
    93500: 0.02679433656340733,
    150000: 0.011460081322529209,
    185999: 9.088986299348819e-07,
}
"""Computed by the release's own code for base 0.05, start 5e-6, a warm-up of 1000 steps, 186000 steps in all, power
0.9.
"""


def test_the_release_learning_rates() -> None:
    cfg = Config.fromfile(FOLDER / FAMILIES['release'])
    assert cfg.train_cfg.max_iters == 4000 * 186 == cfg.param_scheduler[1].end - 1
    cfg.param_scheduler[1].end = 186000 + 1  # the length that the reference was computed for
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], cfg.optim_wrapper.optimizer.lr)
    schedulers = [PARAM_SCHEDULERS.build(dict(s, optimizer=optimizer)) for s in cfg.param_scheduler]
    lrs = []
    for _ in range(186000):
        lrs.append(optimizer.param_groups[0]['lr'])
        optimizer._global_step += 1  # what a step of the optimiser does to the schedulers
        for scheduler in schedulers:
            scheduler.step()
    assert {step: lrs[step] for step in RELEASE_LR} == pytest.approx(RELEASE_LR, rel=1e-6)


def test_the_release_network() -> None:
    """The architecture written out in the config is the published S with the stride-4 head; optimiser and batch are
    those of its YAML.
    """
    cfg = Config.fromfile(FOLDER / FAMILIES['release'])
    assert load_arch(cfg.model.backbone.arch).to_dict() == load_arch('hyctas-s').to_dict() | dict(low_level='s4')
    assert cfg.model.backbone.base_channels == 16 and cfg.model.backbone.norm_cfg.type == 'SyncBN'
    assert cfg.optim_wrapper.to_dict() == dict(
        type='OptimWrapper',
        optimizer=dict(type='SGD', lr=5e-6, momentum=0.9, weight_decay=1e-4),
        clip_grad=dict(max_norm=1.0),
    )
    assert cfg.train_dataloader.batch_size == 2 and not cfg.custom_hooks
