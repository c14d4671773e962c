# ADE20K for supernet training and search: half the sides of the 640x640 training, as the paper does with Cityscapes
# (256x512 for 512x1024).
_base_ = './ade20k_640x640.py'
num_classes = 150
crop_size = (320, 320)
annotations = [dict(type='LoadAnnotations', reduce_zero_label=True), dict(type='CheckLabels', num_classes=num_classes)]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    *annotations,
    dict(type='RandomResize', scale=(1280, 320), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomApply', prob=0.0, transforms=[dict(type='PhotoMetricDistortion')]),  # off; mmseg's with prob 1
    dict(type='LeanPackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(1280, 320), keep_ratio=True),
    *annotations,
    dict(type='PackSegInputs'),
]
calibration_pipeline = [  # batches need one size; by the shortest edge no image is smaller than the crop
    dict(type='LoadImageFromFile'),
    *annotations,
    dict(type='ResizeShortestEdge', scale=320, max_size=10**5),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
