# Cityscapes for training a network: mmseg's folders; scaled, cropped to 512x1024 and flipped as in Panoptic-DeepLab,
# which the paper follows; whole images of 1024x2048 in the test.
_base_ = './semantic.py'
dataset_name = 'Cityscapes'  # for the report
dataset_type = 'CityscapesDataset'
data_root = 'data/cityscapes'
num_classes = 19
crop_size = (512, 1024)
load = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='CheckLabels', num_classes=num_classes)]
train_pipeline = [
    *load,
    dict(type='RandomResize', scale=(2048, 1024), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomApply', prob=0.0, transforms=[dict(type='PhotoMetricDistortion')]),  # off; mmseg's with prob 1
    dict(type='LeanPackSegInputs'),
]
test_pipeline = [*load, dict(type='PackSegInputs')]
train_prefix = dict(img_path='leftImg8bit/train', seg_map_path='gtFine/train')
val_prefix = dict(img_path='leftImg8bit/val', seg_map_path='gtFine/val')
train_dataloader = dict(
    batch_size=8,
    dataset=dict(type=dataset_type, data_root=data_root, data_prefix=train_prefix, pipeline=train_pipeline),
)
val_dataloader = dict(
    dataset=dict(type=dataset_type, data_root=data_root, data_prefix=val_prefix, pipeline=test_pipeline),
)
test_dataloader = val_dataloader
