# ADE20K (SceneParse150) for training a network: mmseg's folders and sizes; scaled, cropped to 640x640 and flipped as in
# Panoptic-DeepLab, which the paper follows. Label 0 is void and becomes 255, 1..150 become 0..149.
_base_ = './semantic.py'
dataset_name = 'ADE20K'  # for the report
dataset_type = 'ADE20KDataset'
data_root = 'data/ade/ADEChallengeData2016'
num_classes = 150
crop_size = (640, 640)
annotations = [dict(type='LoadAnnotations', reduce_zero_label=True), dict(type='CheckLabels', num_classes=num_classes)]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    *annotations,
    dict(type='RandomResize', scale=(2560, 640), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomApply', prob=0.0, transforms=[dict(type='PhotoMetricDistortion')]),  # off; mmseg's with prob 1
    dict(type='LeanPackSegInputs'),
]
test_pipeline = [  # labels stay as large as they are: scores count the pixels of the file
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(2560, 640), keep_ratio=True),
    *annotations,
    dict(type='PackSegInputs'),
]
train_prefix = dict(img_path='images/training', seg_map_path='annotations/training')
val_prefix = dict(img_path='images/validation', seg_map_path='annotations/validation')
train_dataloader = dict(
    batch_size=4,
    dataset=dict(type=dataset_type, data_root=data_root, data_prefix=train_prefix, pipeline=train_pipeline),
)
val_dataloader = dict(
    dataset=dict(type=dataset_type, data_root=data_root, data_prefix=val_prefix, pipeline=test_pipeline),
)
test_dataloader = val_dataloader
