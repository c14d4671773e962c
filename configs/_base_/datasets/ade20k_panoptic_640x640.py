# ADE20K panoptic, 100 thing and 50 stuff classes, as mmdet's ade20k2coco.py writes it: mmseg's sizes of the short side,
# crops of 640x640. Padding has the colour of the mean.
_base_ = './panoptic.py'
dataset_name = 'ADE20K panoptic'  # for the report
dataset_type = 'ADE20KPanoptic'
data_root = 'data/ade/ADEChallengeData2016'
crop_size = (640, 640)
pad_val = dict(img=(104, 116, 124), seg=255)  # BGR
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadPanoptic'),
    dict(type='RandomResize', scale=(2560, 640), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, allow_negative_crop=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Pad', size=crop_size, pad_val=pad_val),
    dict(type='PanopticTargets', sigma=8),
    dict(type='PackPanopticInputs'),
]
test_pipeline = [  # segments stay as large as they are: scores count the pixels of the file
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(2560, 640), keep_ratio=True),
    dict(type='LoadPanoptic'),
    dict(type='PackPanopticInputs'),
]
train_files = dict(
    ann_file='ade20k_panoptic_train.json', data_prefix=dict(img='images/training', seg='ade20k_panoptic_train')
)
val_files = dict(
    ann_file='ade20k_panoptic_val.json', data_prefix=dict(img='images/validation', seg='ade20k_panoptic_val')
)
train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    dataset=dict(type=dataset_type, data_root=data_root, **train_files, pipeline=train_pipeline),
)
val_dataloader = dict(
    num_workers=4,
    persistent_workers=True,
    dataset=dict(type=dataset_type, data_root=data_root, **val_files, pipeline=test_pipeline),
)
test_dataloader = val_dataloader
