# ADE20K (SceneParse150) for training a network: mmseg's folders and 640x640 augmentation. Label 0 is void and becomes
# 255, 1..150 become 0..149.
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
    # NOTE(paper): it scales, crops and flips as Panoptic-DeepLab does; cat_max_ratio and PhotoMetricDistortion are
    # mmseg's
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
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
