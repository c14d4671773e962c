# One fixed network from scratch, 800 steps: the schedule that exported networks take.
_base_ = [
    '../../default_runtime.py',
    '../../_base_/datasets/idd_lite.py',
    '../../_base_/models/hyctas.py',
    '../../_base_/schedules/sgd_poly.py',
]
crop_size = (160, 224)
max_iters = 800
model = dict(
    data_preprocessor=dict(size=crop_size), backbone=dict(base_channels=6), decode_head=dict(base_channels=6, num_classes=7)
)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='CheckLabels', num_classes=7),
    dict(type='RandomResize', scale=(320, 227), ratio_range=(0.6, 1.4), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.9),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(num_workers=1, dataset=dict(pipeline=train_pipeline))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=100),
    dict(type='PolyLR', power=0.9, eta_min=1e-4, by_epoch=False, begin=100, end=max_iters),
]
train_cfg = dict(max_iters=max_iters)
