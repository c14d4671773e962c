"""Every config is read and built, and what its parts, its name and its folder's README must agree on agrees."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmseg.registry import DATASETS, MODELS

from hyctas_mm.archs import SearchSpace, load_arch

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / 'configs' / 'hyctas'
CONFIGS = sorted(
    p for p in (ROOT / 'configs').rglob('*.py') if '_base_' not in p.parts and not p.name.endswith('_runtime.py')
)
OURS = [
    p
    for p in CONFIGS
    if FOLDER in p.parents or (p.parent.name in ('quickstart', 'evidence') and not p.stem.startswith('nuclei'))
]
"""Semantic segmentation with backbone and head of ours; other folders have tests of their own."""
PUBLISHED = [p for p in OURS if re.match('hyctas-[sml]_', p.name)]
MULTIPLIERS = {'hyctas-s': 12, 'hyctas-m': 12, 'hyctas-l': 16}


def steps(pipeline: Sequence[ConfigDict]) -> Iterator[ConfigDict]:
    """What a pipeline does, within ``Cached`` too."""
    for step in pipeline:
        yield from steps(step.transforms) if step.type == 'Cached' else [step]


def supernet_of(path: Path, cfg: Config) -> Path:
    """The config whose work dir a search takes its supernet from."""
    named = path.with_name(f'{Path(cfg.train_cfg.supernet).parent.name}.py')
    data = path.stem.split('_search')[0].removesuffix('_gradient')
    return named if named.exists() else next(path.parent.glob(f'{data}_supernet*.py'))


@pytest.mark.slow
@pytest.mark.parametrize('path', OURS, ids=lambda p: p.stem)
def test_config(path: Path) -> None:
    cfg = Config.fromfile(path)
    cfg.model.backbone.norm_cfg.type = cfg.model.decode_head.norm_cfg.type = 'BN'
    with torch.device('meta'):
        net = MODELS.build(cfg.model)
    classes = net.decode_head.num_classes
    unlabelled = '_test-split_' in path.name
    assert unlabelled == (cfg.test_evaluator.type == 'CityscapesSubmission')
    for name in ('train_dataloader', 'val_dataloader', *(() if unlabelled else ('test_dataloader',))):
        dataset = cfg[name].dataset
        checks = [t for t in steps(dataset.pipeline) if t.type == 'CheckLabels']
        names = dataset.get('metainfo', DATASETS.get(dataset.type).METAINFO)['classes']
        assert [t.num_classes for t in checks] == [classes] == [len(names)]
    shared = ('search_space', 'arch', 'base_channels')
    assert {k: cfg.model.backbone.get(k) for k in shared} == {k: cfg.model.decode_head.get(k) for k in shared}
    if cfg.train_cfg.type.endswith('SearchLoop'):
        if 'supernet' in cfg.train_cfg:
            supernet = Config.fromfile(supernet_of(path, cfg))
            epochs = supernet.train_cfg.get('max_iters') or supernet.train_cfg.max_epochs
            assert cfg.train_cfg.supernet.endswith(f'_{epochs}.pth')
            assert supernet.model.to_dict() == Config.fromfile(path).model.to_dict()
        subnet = Config.fromfile(path.parent / cfg.train_cfg.subnet_config)
        assert subnet.model.decode_head.num_classes == classes and 'arch' in subnet.model.decode_head
        assert not cfg.custom_hooks, 'a search trains nothing'
        return
    pipeline = steps(cfg.train_dataloader.dataset.pipeline)
    crops = [tuple(t.crop_size) for t in pipeline if t.type in ('RandomCrop', 'LeanRandomCrop')]
    assert crops == [tuple(cfg.model.data_preprocessor.size)]
    max_iters = cfg.train_cfg.get('max_iters')
    lengths = [s.end for s in cfg.param_scheduler if s.type == 'PolyLR']
    # The release reaches zero after the last step, not with it, which takes mmengine's `end` one step further.
    assert lengths in ([], [max_iters], [(max_iters or 0) + 1])
    hooks = [h.type for h in cfg.get('custom_hooks') or []]
    assert any(hook.endswith('SampleArchHook') for hook in hooks) == ('search_space' in cfg.model.backbone)
    if 'ScheduledDropPathHook' in hooks:
        assert 'arch' in cfg.model.backbone and net.backbone.set_drop_path(0.1) > 0


def test_supernet_search_and_landmarks_of_nuclei_have_one_space() -> None:
    folder = ROOT / 'configs' / 'evidence'
    names = ('nuclei_wide_supernet', 'nuclei_wide_search', 'nuclei_subnet_landmarks')
    supernet, search, landmarks = (Config.fromfile(folder / f'{name}.py') for name in names)
    spaces = [c.model[part].search_space for c in (supernet, search) for part in ('backbone', 'panoptic_head')]
    assert len({SearchSpace.from_dict(space.to_dict()) for space in (*spaces, landmarks.search_space)}) == 1
    assert search.train_cfg.supernet == f'work_dirs/{names[0]}/iter_{supernet.train_cfg.max_iters}.pth'
    scored, trained, held_out = (
        set(c.indices)
        for c in (
            search.val_dataloader.dataset,
            landmarks.train_dataloader.dataset,
            landmarks.custom_hooks[0].dataloaders.held_out.dataset,
        )
    )
    assert not scored & trained and scored == held_out


@pytest.mark.parametrize('path', [p for p in CONFIGS if '_search' in p.stem], ids=lambda p: p.stem)
def test_a_report_is_titled_by_the_data(path: Path) -> None:
    """And not by the class that reads them."""
    cfg = Config.fromfile(path)
    assert cfg.dataset_name and not cfg.dataset_name.endswith('Dataset')
    assert ('toy' in path.stem) == cfg.dataset_name.startswith('toy streets')


@pytest.mark.parametrize('path', [p for p in OURS if FOLDER in p.parents], ids=lambda p: p.stem)
def test_name(path: Path) -> None:
    """Batch, length and size in a config's name are those that it trains with."""
    cfg = Config.fromfile(path)
    height, width = map(int, re.search(r'-(\d+)x(\d+)$', path.stem).groups())
    if '_search_' in path.stem:
        assert cfg.train_cfg.type.endswith('SearchLoop')
        return
    assert tuple(cfg.model.data_preprocessor.size) == (height, width)
    batch, length, unit = re.search(r'_\d+xb(\d+)-(\d+)([ke]?)_', path.stem).groups()
    assert cfg.train_dataloader.batch_size == int(batch)
    assert cfg.train_cfg['max_epochs' if unit == 'e' else 'max_iters'] == int(length) * (1000 if unit == 'k' else 1)


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_every_training_says_what_batch_its_learning_rate_belongs_to(path: Path) -> None:
    """NxbM: N processes with M images each; one process where the name says nothing."""
    cfg = Config.fromfile(path)
    if cfg.train_cfg.type.endswith('SearchLoop'):
        return  # trains nothing
    base = cfg.auto_scale_lr.base_batch_size
    assert not cfg.auto_scale_lr.get('enable')
    named = re.search(r'_(\d+)xb(\d+)-', path.stem)
    if named:
        assert base == int(named[1]) * int(named[2]) and cfg.train_dataloader.batch_size == int(named[2])
    else:
        own = path.parent.name in ('quickstart', 'evidence')
        assert base == (cfg.train_dataloader.batch_size if own else 16)  # else mmdet's own, eight GPUs with two images


@pytest.mark.parametrize('path', [p for p in CONFIGS if '_supernet_4xb4' in p.name], ids=lambda p: p.stem)
def test_supernets_on_several_gpus_normalise_over_all_of_them(path: Path) -> None:
    parts = Config.fromfile(path).model
    assert {parts[name].norm_cfg.type for name in ('backbone', 'decode_head', 'panoptic_head') if name in parts} == {
        'SyncBN'
    }


def test_the_space_of_the_papers_search_contains_the_published_networks() -> None:
    cfg = Config.fromfile(FOLDER / 'cityscapes' / 'hyctas_search_sml_cityscapes-256x512.py')
    space = SearchSpace.from_dict(cfg.model.backbone.search_space)
    assert not [p for name in MULTIPLIERS for p in space.violations(load_arch(name))]
    assert set(cfg.train_cfg.bounds) == {'latency_ms', 'memory_gb', 'mIoU'}


@pytest.mark.parametrize('path', PUBLISHED, ids=lambda p: p.stem)
def test_augmentation_is_the_papers(path: Path) -> None:
    """Photometric distortion is there, but off."""
    pipeline = Config.fromfile(path).train_dataloader.dataset.pipeline
    assert [s.type for s in pipeline[3:]] == [
        'RandomResize',
        'RandomCrop',
        'RandomFlip',
        'RandomApply',
        'LeanPackSegInputs',
    ]
    assert 'cat_max_ratio' not in pipeline[4] and pipeline[6].prob == 0


@pytest.mark.parametrize('path', PUBLISHED, ids=lambda p: p.stem)
def test_published_network(path: Path) -> None:
    """S, M and L have the paper's multipliers and optimiser, and the loss of their data set; on Cityscapes the paper's
    batch.
    """
    cfg = Config.fromfile(path)
    name = path.stem.split('_')[0]
    assert cfg.model.backbone.arch == name and cfg.model.backbone.base_channels == MULTIPLIERS[name]
    assert load_arch(name).low_level == ('none' if name == 'hyctas-s' else 's4')
    assert cfg.model.backbone.norm_cfg.type == cfg.model.decode_head.norm_cfg.type == 'SyncBN'
    assert cfg.optim_wrapper.to_dict() == dict(
        type='OptimWrapper', optimizer=dict(type='SGD', lr=0.005, momentum=0.9, weight_decay=5e-4)
    )
    assert [s.to_dict() for s in cfg.param_scheduler] == [
        dict(type='PolyLR', power=0.9, eta_min=0, by_epoch=False, begin=0, end=cfg.train_cfg.max_iters)
    ]
    table_9 = 0.1 if '_sdp-0.1_' in path.name else 0.2
    dropped = [] if '_no-sdp_' in path.name else [dict(type='ScheduledDropPathHook', max_prob=table_9)]
    assert [h.to_dict() for h in cfg.custom_hooks] == dropped
    hardest, plain = dict(type='HardestPixelsCELoss', fraction=0.2), dict(type='CrossEntropyLoss', avg_non_ignore=True)
    assert cfg.model.decode_head.loss_decode.to_dict() == (plain if 'coco' in path.parent.name else hardest)
    if path.parent.name == 'cityscapes':
        gpus, batch = map(int, re.search(r'_(\d+)xb(\d+)-', path.stem).groups())
        assert gpus * batch == 32


def test_every_size_and_length_is_there() -> None:
    names = {p.name for p in PUBLISHED}
    for size in 'sml':
        for length in (
            '186k_cityscapes-512x1024',
            '372k_cityscapes-512x1024',
            '160k_ade20k-640x640',
            '320k_coco-stuff164k-640x640',
        ):
            assert sum(n.startswith(f'hyctas-{size}_') and n.endswith(f'-{length}.py') for n in names) == 1


def test_configs_lean_on_no_package() -> None:
    """No config but the drop-ins, whose point it is, inherits from an installed package's: theirs change with their
    versions.
    """
    files = [p for p in (ROOT / 'configs').rglob('*.py') if p.parent.name not in ('drop_in', 'panoptic_fpn')]
    assert len(files) > 40
    assert not [p.name for p in files if re.search(r'mm\w+::', p.read_text())]


@pytest.mark.parametrize('folder', sorted({p.parent for p in CONFIGS}), ids=lambda p: p.name)
def test_readme_names_every_config(folder: Path) -> None:
    text = (folder / 'README.md').read_text()
    if folder.name != 'quickstart':
        assert all(p.name in text for p in folder.glob('*.py'))


def test_index_names_every_folder() -> None:
    text = (FOLDER / 'README.md').read_text()
    assert not [p.name for p in FOLDER.iterdir() if p.is_dir() and f'({p.name}/README.md)' not in text]


@pytest.mark.parametrize('readme', sorted(FOLDER.rglob('README.md')), ids=lambda p: p.parent.name)
def test_readme_names_only_what_is_there(readme: Path) -> None:
    text = readme.read_text()
    known = {p.name for folder in ('configs', 'tools', 'tests', 'benchmarks') for p in (ROOT / folder).rglob('*.py')}
    known |= {'cityscapes.py', 'coco_stuff164k.py'}  # mmseg's converters of these data sets
    # a command's results are not there yet
    named = [name for name in re.findall(r'[\w./-]+\.py\b', text) if not name.startswith('work_dirs/')]
    assert {Path(name).name for name in named} <= known
    links = [link for link in re.findall(r'\]\(([^)#]+)', text) if '://' not in link]
    assert not [link for link in links if not (readme.parent / link).exists()]
