# Cityscapes for supernet training and search: images of 256x512, the paper's size (section 4.2): a quarter of their
# sides.
_base_ = './cityscapes_512x1024.py'
crop_size = (256, 512)
load = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='CheckLabels', num_classes=19)]
train_pipeline = [
    *load,
    dict(type='RandomResize', scale=(512, 256), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomApply', prob=0.0, transforms=[dict(type='PhotoMetricDistortion')]),  # off; mmseg's with prob 1
    dict(type='LeanPackSegInputs'),
]
test_pipeline = [load[0], dict(type='Resize', scale=(512, 256), keep_ratio=True), *load[1:], dict(type='PackSegInputs')]
train_dataloader = dict(
    batch_size=16,
    sampler=dict(type='DefaultSampler', shuffle=True),
    drop_last=True,
    dataset=dict(pipeline=train_pipeline),
)
val_dataloader = dict(batch_size=16, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
