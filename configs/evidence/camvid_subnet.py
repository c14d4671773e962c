# One fixed network from scratch in 300 steps on CamVid at half size: the recipe by which benchmarks/train_peers.py
# trains ours and others.
_base_ = '../quickstart/camvid_subnet.py'
half = dict(type='Resize', scale=(320, 240))
load = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='CheckLabels', num_classes=11)]
train_pipeline = [
    *load,
    dict(type='RandomResize', scale=(320, 240), ratio_range=(0.75, 1.75), keep_ratio=True),
    dict(type='RandomCrop', crop_size=(160, 224), cat_max_ratio=0.9),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='LeanPackSegInputs'),
]
test_pipeline = [dict(type='LoadImageFromFile'), half, *load[1:], dict(type='PackSegInputs')]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
model = dict(data_preprocessor=dict(size=(160, 224)), backbone=dict(base_channels=6), decode_head=dict(base_channels=6))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=40),
    dict(type='PolyLR', power=0.9, eta_min=1e-4, by_epoch=False, begin=40, end=300),
]
