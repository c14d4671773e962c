# Cityscapes panoptic for training a network: 8 thing and 11 stuff classes, crops of 512x1024, whole images of 1024x2048
# in the test. mmdet's crop and pad take (width, height). Padding has the colour of the mean.
_base_ = './panoptic.py'
dataset_name = 'Cityscapes panoptic'  # for the report
dataset_type = 'CityscapesPanoptic'
data_root = 'data/cityscapes'
crop_wh = (1024, 512)
pad_val = dict(img=(104, 116, 124), seg=255)  # BGR
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadPanoptic'),
    dict(type='RandomResize', scale=(2048, 1024), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_wh, allow_negative_crop=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Pad', size=crop_wh, pad_val=pad_val),
    dict(type='PanopticTargets', sigma=10),
    dict(type='PackPanopticInputs'),
]
test_pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadPanoptic'), dict(type='PackPanopticInputs')]
train_files = dict(
    ann_file='gtFine/cityscapes_panoptic_train_trainId.json',
    data_prefix=dict(img='leftImg8bit/train', seg='gtFine/cityscapes_panoptic_train_trainId'),
)
val_files = dict(
    ann_file='gtFine/cityscapes_panoptic_val_trainId.json',
    data_prefix=dict(img='leftImg8bit/val', seg='gtFine/cityscapes_panoptic_val_trainId'),
)
train_dataloader = dict(
    batch_size=8,
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
val_evaluator = dict(type='PanopticQuality', metric=['PQ', 'mIoU', 'AP'])
test_evaluator = val_evaluator
