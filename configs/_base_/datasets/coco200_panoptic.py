# 200 images of COCO with the 133 official panoptic categories, 100 to train and 100 to validate: for trying things out
# on real images. 100 images prove nothing about accuracy. Crops of 320x320 of images whose longer side is 320 to 640;
# padding has the colour of the mean, as in the test.
_base_ = './panoptic.py'
dataset_name = 'COCO-200 panoptic'  # for the report
dataset_type = 'PanopticDataset'
data_root = 'data/coco200_panoptic'
crop_size = (320, 320)
pad_val = dict(img=(104, 116, 124), seg=255)  # BGR
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadPanoptic'),
    dict(type='RandomResize', scale=(640, 640), ratio_range=(0.5, 1.0), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomCrop', crop_size=crop_size, allow_negative_crop=True),
    dict(type='Pad', size=crop_size, pad_val=pad_val),
    dict(type='PanopticTargets', sigma=6),
    dict(type='PackPanopticInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(480, 480), keep_ratio=True),
    dict(type='LoadPanoptic'),
    dict(type='PackPanopticInputs'),
]
train_files = dict(ann_file='panoptic_train.json', data_prefix=dict(img='images/train', seg='panoptic_train'))
val_files = dict(ann_file='panoptic_val.json', data_prefix=dict(img='images/val', seg='panoptic_val'))
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    drop_last=True,
    dataset=dict(type=dataset_type, data_root=data_root, **train_files, pipeline=train_pipeline),
)
val_dataloader = dict(
    num_workers=0,
    dataset=dict(type=dataset_type, data_root=data_root, **val_files, pipeline=test_pipeline),
)
test_dataloader = val_dataloader
