# COCO-Stuff 164k, 171 classes, for training a network: mmseg's folders and sizes, at 640 in place of 512; scaled,
# cropped and flipped as in Panoptic-DeepLab, which the paper follows. Labels are *_labelTrainIds.png.
_base_ = './semantic.py'
dataset_name = 'COCO-Stuff 164k'  # for the report
dataset_type = 'COCOStuffDataset'
data_root = 'data/coco_stuff164k'
num_classes = 171
crop_size = (640, 640)
annotations = [dict(type='LoadAnnotations'), dict(type='CheckLabels', num_classes=num_classes)]
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
train_prefix = dict(img_path='images/train2017', seg_map_path='annotations/train2017')
val_prefix = dict(img_path='images/val2017', seg_map_path='annotations/val2017')
train_dataloader = dict(
    batch_size=4,
    dataset=dict(type=dataset_type, data_root=data_root, data_prefix=train_prefix, pipeline=train_pipeline),
)
val_dataloader = dict(
    dataset=dict(type=dataset_type, data_root=data_root, data_prefix=val_prefix, pipeline=test_pipeline),
)
test_dataloader = val_dataloader
