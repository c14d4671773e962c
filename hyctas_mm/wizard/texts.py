"""The text of the configs: short files over copies of the project's own ``_base_``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hyctas_mm.archs import SearchSpace
from hyctas_mm.costs import Target
from hyctas_mm.wizard.data import PanopticData, PanopticFile, SemanticData, Split
from hyctas_mm.wizard.lengths import Lengths
from hyctas_mm.wizard.sizing import WIDE, Plan

HERE = '{{ fileDirname }}'
"""mmengine puts the config's folder in its place, so the whole folder can be moved."""
MINING_STEPS = 20_000
"""Trainings of fewer steps count all pixels. Mining the hardest ones, as the release does, teaches a network that does
not fit the others yet to fit outliers: 626 steps on 100 images of 27 classes gave PQ 0.0 with it and 3.1 without.
"""


@dataclass(frozen=True)
class Text:
    """What all texts are made from.

    Attributes:
        plan: Sizes.
        lengths: Steps and candidates.
        workers: Processes that load images.
        one_size: Whether all images have one size after loading.
        calibration_batch: Images of a batch that recalibrates the batch norm.
        on_cpu: Whether it will run on a CPU.
    """

    plan: Plan
    lengths: Lengths
    workers: int
    one_size: bool
    calibration_batch: int
    on_cpu: bool

    @property
    def test_scale(self) -> tuple[int, int]:
        """(width, height) that images are fitted into for tests."""
        height, width = self.plan.geometry.input_hw
        return width, height


def semantic_data(data: SemanticData, text: Text) -> str:
    """``data.py`` for semantic segmentation."""
    geometry = text.plan.geometry
    ignore = '' if data.ignore_index == 255 else f', ignore_index={data.ignore_index}'
    options = ''.join((', reduce_zero_label=True' if data.reduce_zero_label else '', ignore))
    resize = f"    dict(type='Resize', scale={text.test_scale}, keep_ratio=True),\n" if geometry.resize else ''
    if text.one_size:
        calibration = (
            f"[\n    dict(type='LoadImageFromFile'),\n    *annotations,\n{resize}    dict(type='PackSegInputs'),\n]"
        )
    else:
        steps = [
            "dict(type='LoadImageFromFile')",
            '*annotations',
            f"dict(type='ResizeShortestEdge', scale={max(geometry.crop_hw)}, max_size=10**5)",
            f"dict(type='RandomCrop', crop_size=crop_size{ignore})",
            "dict(type='PackSegInputs')",
        ]
        lines = ''.join(f'    {step},\n' for step in steps)
        calibration = f'[  # batches need one size; by the shortest edge no image is smaller than the crop\n{lines}]'
    return f"""{_used(data.split)}
# mmseg's BaseSegDataset reads the folder by the lists of file names in lists/.
dataset_name = {data.root.name!r}  # for the report
data_root = {str(data.root)!r}
lists = '{HERE}/lists'
num_classes = {len(data.classes)}
crop_size = {geometry.crop_hw}
metainfo = dict(
    classes={data.classes},
    palette={data.palette},
)
train_images = dict(img_path={data.train_folders[0]!r}, seg_map_path={data.train_folders[1]!r})
val_images = dict(img_path={data.val_folders[0]!r}, seg_map_path={data.val_folders[1]!r})
dataset = dict(
    type='BaseSegDataset', data_root=data_root, metainfo=metainfo,
    img_suffix={data.img_suffix!r}, seg_map_suffix={data.label_suffix!r}{options}
)
annotations = [dict(type='LoadAnnotations'), dict(type='CheckLabels', num_classes=num_classes{ignore})]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    *annotations,
    dict(type='RandomResize', scale={geometry.scale_wh}, ratio_range={geometry.ratio_range}, keep_ratio=True),
    dict(type='LeanRandomCrop', crop_size=crop_size, cat_max_ratio=0.75{ignore}),
    dict(type='RandomFlip', prob=0.5),
    dict(type='LeanPhotoMetricDistortion'),
    dict(type='LeanPackSegInputs'),
]
test_pipeline = [  # labels stay as large as they are: scores count the pixels of the file
    dict(type='LoadImageFromFile'),
{resize}    *annotations,
    dict(type='PackSegInputs'),
]
calibration_pipeline = {calibration}
train_dataloader = dict(
    batch_size={text.plan.batch},
    num_workers={text.workers},
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(**dataset, ann_file=lists + '/fit.txt', data_prefix=train_images, pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size={8 if text.one_size else 1},
    num_workers={text.workers},
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**dataset, ann_file=lists + '/val.txt', data_prefix=val_images, pipeline=test_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU']{ignore})
test_evaluator = val_evaluator
"""


def panoptic_data(data: PanopticData, text: Text) -> str:
    """``data.py`` for panoptic segmentation."""
    geometry = text.plan.geometry
    resize = f"    dict(type='Resize', scale={text.test_scale}, keep_ratio=True),\n" if geometry.resize else ''
    sigma = min(8, 3 + min(geometry.crop_hw) // 128)
    held = sorted(
        {*data.indices(data.split.select), *(data.indices(data.split.val) if data.split.val_held_out else ())}
    )
    val_indices = f', indices={_wrapped(data.indices(data.split.val))}' if data.split.val_held_out else ''
    train_indices = (
        f'train_images = [i for i in range({len(data.order)}) if i not in {_wrapped(data.indices(data.split.val))}]\n'
        if data.split.val_held_out
        else 'train_images = None  # all\n'
    )
    return f"""{_used(data.split)}
dataset_name = {data.root.name!r}  # for the report
data_root = {str(data.root)!r}
crop_size = {geometry.crop_hw}
select_images = {_wrapped(data.indices(data.split.select))}
fit_images = [i for i in range({len(data.order)}) if i not in {_wrapped(held)}]
{train_indices}pad_val = dict(img=(104, 116, 124), seg=255)  # BGR, the colour of the mean
train_files = dict({_files(data.train_file)})
val_files = dict({_files(data.val_file)})
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadPanoptic'),
    dict(type='RandomResize', scale={geometry.scale_wh}, ratio_range={geometry.ratio_range}, keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, allow_negative_crop=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Pad', size=crop_size, pad_val=pad_val),
    dict(type='PanopticTargets', sigma={sigma}),
    dict(type='PackPanopticInputs'),
]
test_pipeline = [  # segments stay as large as they are: scores count the pixels of the file
    dict(type='LoadImageFromFile'),
{resize}    dict(type='LoadPanoptic'),
    dict(type='PackPanopticInputs'),
]
train_dataloader = dict(
    batch_size={text.plan.batch},
    num_workers={text.workers},
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    drop_last=True,
    dataset=dict(
        type='PanopticDataset', data_root=data_root, **train_files, indices=fit_images, pipeline=train_pipeline
    ),
)
val_dataloader = dict(
    batch_size=1,  # images may differ in size
    num_workers={text.workers},
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='PanopticDataset', data_root=data_root, **val_files{val_indices}, test_mode=True, pipeline=test_pipeline
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='PanopticQuality', metric=['PQ', 'mIoU'])
test_evaluator = val_evaluator
"""


def supernet(data: SemanticData | PanopticData, text: Text) -> str:
    """``supernet.py``."""
    space = text.plan.space
    usual = SearchSpace()
    options = ''.join(
        f', {name}={getattr(space, name)}' for name in WIDE if getattr(space, name) != getattr(usual, name)
    )
    steps = text.lengths.steps
    return f"""# The supernet: {space.layers} layers, base channels {space.base_channels}, {steps} steps of
# {text.plan.batch} crops.
_base_ = {_bases(data, text, 'supernet')}
search_space = dict(layers={space.layers}, base_channels={space.base_channels}{options})
{_model(data, text, 'search_space=search_space', steps)}{_schedule(data, text, steps)}\
custom_hooks = [dict(type='SampleArchHook', seed=0)]
model_wrapper_cfg = dict(type='SupernetDataParallel')
"""


def subnet(data: SemanticData | PanopticData, text: Text) -> str:
    """``subnet.py``: how the chosen networks are retrained, on all training images."""
    images = (
        "ann_file='" + HERE + "/lists/train.txt'"
        if isinstance(data, SemanticData)
        else 'indices={{_base_.train_images}}'
    )
    steps = text.lengths.subnet_steps
    return f"""# The training of one chosen network from scratch: {steps} steps on all training images.
# The search puts an architecture in.
_base_ = {_bases(data, text, 'network')}
{_model(data, text, f'base_channels={text.plan.space.base_channels}', steps)}\
train_dataloader = dict(dataset=dict({images}))
{_schedule(data, text, steps)}"""


def search(
    data: SemanticData | PanopticData, text: Text, latency_ms: float | None, target: Target | None = None
) -> str:
    """``search.py``."""
    lengths = text.lengths
    bounds = f'    bounds=dict(latency_ms=dict(max={latency_ms:g})),\n' if latency_ms else ''
    ships = ''
    if target:
        ships = f'    target={target.to_dict()},\n    latency_networks={lengths.latency_networks},\n'
        ships += f'    latency_error={lengths.latency_error},\n'
    if target and target.precision == 'int8' and text.one_size and isinstance(data, SemanticData):
        ships += "    precision='int8',  # scores too\n"
    pipeline = ', dataset=dict(pipeline={{_base_.calibration_pipeline}})' if isinstance(data, SemanticData) else ''
    if isinstance(data, SemanticData):
        scored = f"ann_file='{HERE}/lists/select.txt', data_prefix={{{{_base_.train_images}}}}"
    else:
        scored = f'{_files(data.train_file)}, indices={{{{_base_.select_images}}}}'
    return f"""# NSGA-II over the supernet: {lengths.candidates} candidates, scored on training images that its weights
# have not seen.
_base_ = './supernet.py'
train_dataloader = dict(  # recalibrates the batch norm
    batch_size={text.calibration_batch}, sampler=dict(type='DefaultSampler', shuffle=True){pipeline}
)
val_dataloader = dict(dataset=dict({scored}))
train_cfg = dict(
    _delete_=True,
    type='NSGA2SearchLoop',
    supernet='{HERE}/../supernet/iter_{lengths.steps}.pth',
    subnet_config='{HERE}/subnet.py',
    input_hw={text.plan.geometry.input_hw},
    objectives=['{data.score}', 'latency_ms'],
{bounds}{ships}    branches=(1, 2, 3),
    population={lengths.population},
    generations={lengths.generations},
    calibration_batches={max(1, lengths.calibration_images // text.calibration_batch)},
    num_chosen={lengths.num_chosen},
    latency_seconds={lengths.latency_seconds},
    seed=0,
)
custom_hooks = []
param_scheduler = None
default_hooks = dict(checkpoint=None)
"""


def _bases(data: SemanticData | PanopticData, text: Text, kind: str) -> list[str]:
    prefix = 'panoptic_' if isinstance(data, PanopticData) else ''
    model = {'supernet': f'hyctas_{prefix}supernet', 'network': 'hyctas_panoptic' if prefix else 'hyctas'}[kind]
    return [
        f'./_base_/{prefix or "default_"}runtime.py',
        './data.py',
        f'./_base_/{model}.py',
        f'./_base_/{prefix}sgd_poly.py',
    ]


def _model(data: SemanticData | PanopticData, text: Text, part: str, steps: int) -> str:
    height, width = text.plan.geometry.crop_hw
    if isinstance(data, PanopticData):
        area = height * width // 100 if len(data.stuff) > 1 else 0
        kernel = min(41, max(5, int(data.thing_side / 4) * 2 + 1))
        mined = steps >= MINING_STEPS
        of_all = "_delete_=True, type='UpsampledCELoss'" if text.on_cpu else 'fraction=1.0'
        loss = f'anneal_steps={steps // 2}' if mined else of_all
        said = 'starts with all pixels, then the hardest ones more and more' if mined else 'all pixels'
        return f"""model = dict(
    backbone=dict({part}),
    panoptic_head=dict(
        {part},
        num_things_classes={len(data.things)},
        num_stuff_classes={len(data.stuff)},
        loss_semantic=dict({loss}),  # {said}
    ),
    test_cfg=dict(of_highest=0.5, nms_kernel={kernel}, top_k=400, stuff_area={area}),
)
"""
    ignored = '' if data.ignore_index == 255 else f', ignore_index={data.ignore_index}'
    loss = ", loss_decode=dict(type='UpsampledCELoss')" if text.on_cpu else ''
    padded = '' if data.ignore_index == 255 else f', seg_pad_val={data.ignore_index}'
    return f"""model = dict(
    data_preprocessor=dict(size=({height}, {width}){padded}),
    backbone=dict({part}),
    decode_head=dict({part}, num_classes={len(data.classes)}{ignored}{loss}),
)
"""


def _schedule(data: SemanticData | PanopticData, text: Text, steps: int) -> str:
    warm_up = max(1, min(100, steps // 10))
    # the centre loss of panoptic networks has weight 200 and clips nearly every step of SGD: docs/results/nuclei.md
    wrapper, hooks = 'OptimWrapper', ''
    if text.on_cpu:
        wrapper, hooks = 'Bfloat16OptimWrapper', ", channels_last=dict(type='ChannelsLastHook')"
    if isinstance(data, PanopticData):
        optimizer = (
            f"optim_wrapper = dict(\n    _delete_=True, type='{wrapper}', optimizer=dict(type='Adam', lr=2e-3), "
            'clip_grad=dict(max_norm=5.0)\n)\n'
        )
    else:
        rate = min(0.02, 0.02 * text.plan.batch / 8)
        optimizer = f"optim_wrapper = dict(type='{wrapper}', optimizer=dict(lr={rate:g}))\n"
    return f"""max_iters = {steps}
{optimizer}param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end={warm_up}),
    dict(type='PolyLR', power=0.9, eta_min=1e-4, by_epoch=False, begin={warm_up}, end=max_iters),
]
train_cfg = dict(max_iters=max_iters)
auto_scale_lr = dict(base_batch_size={text.plan.batch})  # images of a step that the learning rate belongs to
default_hooks = dict(checkpoint=dict(interval={max(1, min(500, steps // 10))}){hooks})
"""


def _used(split: Split) -> str:
    """What the images are used for, as a comment."""
    val = 'others are held out to' if split.val_held_out else 'validation images'
    return f"""# {len(split.train)} training images, of which {len(split.select)} are held out to score candidates
# ({split.select_by}); {len(split.val)} {val} judge the result only."""


def _wrapped(numbers: Sequence[int]) -> str:
    """A list of numbers over lines of 24."""
    lines = [', '.join(map(str, numbers[i : i + 24])) for i in range(0, len(numbers), 24)]
    return '[' + ',\n    '.join(lines) + ']'


def _files(file: PanopticFile) -> str:
    """Arguments that name a JSON, its images and its PNGs."""
    return f'ann_file={file.ann_file!r}, data_prefix=dict(img={file.images!r}, seg={file.seg!r})'
