# A supernet small enough for two CPU cores: 8 layers, base channels 6, 4000 steps of 8 crops.
_base_ = [
    '../../default_runtime.py',
    '../../_base_/datasets/idd_lite.py',
    '../../_base_/models/hyctas_supernet.py',
    '../../_base_/schedules/sgd_poly.py',
]
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
custom_hooks = [dict(type='SampleArchHook', seed=0)]
find_unused_parameters = True
