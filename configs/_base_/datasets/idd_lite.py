# IDD-Lite: 1403 training images of 320x227, of which about a tenth (whole drives) is held out to score candidates; 102
# for the final test.
_base_ = './semantic.py'
dataset_name = 'IDD-Lite'  # for the report
dataset_type = 'IDDLiteDataset'
data_root = 'data/idd_lite'
num_classes = 7
crop_size = (160, 224)
load = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='CheckLabels', num_classes=num_classes)]
train_pipeline = [
    dict(type='Cached', transforms=load),
    dict(type='RandomResize', scale=(320, 227), ratio_range=(0.6, 1.4), keep_ratio=True),
    dict(type='LeanRandomCrop', crop_size=crop_size, cat_max_ratio=0.9),
    dict(type='RandomFlip', prob=0.5),
    dict(type='LeanPhotoMetricDistortion'),
    dict(type='LeanPackSegInputs'),
]
test_pipeline = [*load, dict(type='PackSegInputs')]
train_prefix = dict(img_path='images/train', seg_map_path='labels/train')
val_prefix = dict(img_path='images/val', seg_map_path='labels/val')
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    dataset=dict(type=dataset_type, data_root=data_root, data_prefix=train_prefix, part='fit', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=2,
    dataset=dict(type=dataset_type, data_root=data_root, data_prefix=val_prefix, pipeline=test_pipeline),
)
test_dataloader = val_dataloader
