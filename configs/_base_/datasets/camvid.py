# CamVid: 367 training images of 480x360, of which clip 0006R0 (101 frames) is held out to score candidates; 101 for the
# final test.
_base_ = './semantic.py'
dataset_name = 'CamVid'  # for the report
dataset_type = 'CamVidDataset'
data_root = 'data/camvid'
num_classes = 11
crop_size = (240, 320)
load = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='CheckLabels', num_classes=num_classes)]
train_pipeline = [
    *load,
    dict(type='RandomResize', scale=(480, 360), ratio_range=(0.75, 1.75), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.9),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='LeanPackSegInputs'),
]
test_pipeline = [*load, dict(type='PackSegInputs')]
train_prefix = dict(img_path='images/train', seg_map_path='labels/train')
val_prefix = dict(img_path='images/val', seg_map_path='labels/val')
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    dataset=dict(type=dataset_type, data_root=data_root, data_prefix=train_prefix, part='fit', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=2,
    dataset=dict(type=dataset_type, data_root=data_root, data_prefix=val_prefix, pipeline=test_pipeline),
)
test_dataloader = val_dataloader
