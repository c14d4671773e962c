# A supernet small enough for two CPU cores: 8 layers, base channels 6, 4000 steps of 8 crops.
_base_ = ['../../default_runtime.py', '../../_base_/datasets/idd_lite.py', '../../_base_/models/hyctas_supernet.py']
num_classes = 7
crop_size = (160, 224)
search_space = dict(layers=8, base_channels=6)
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(search_space=search_space),
    decode_head=dict(search_space=search_space, num_classes=num_classes),
)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='CheckLabels', num_classes=num_classes),
    dict(type='RandomResize', scale=(320, 227), ratio_range=(0.6, 1.4), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.9),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(num_workers=1, dataset=dict(pipeline=train_pipeline))
max_iters = 4000
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=5e-4),
    clip_grad=dict(max_norm=5.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=200),
    dict(type='PolyLR', power=0.9, eta_min=1e-4, by_epoch=False, begin=200, end=max_iters),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters + 1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=1000, max_keep_ckpts=1),
    sampler_seed=dict(type='DistSamplerSeedHook'),
)
custom_hooks = [dict(type='SampleArchHook', seed=0)]
find_unused_parameters = True
randomness = dict(seed=0)
