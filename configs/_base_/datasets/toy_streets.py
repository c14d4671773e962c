# Toy streets in Cityscapes' layout (tools/dataset_converters/toy_streets.py): 128x256; 11 of Cityscapes' 19 classes
# occur. The first of three training cities (a third of the images, indices 0..31) is held out to score candidates.
_base_ = './semantic.py'
dataset_name = 'toy streets'  # for the report
dataset_type = 'CityscapesDataset'
data_root = 'data/toy_streets'
classes = (
    'road',
    'sidewalk',
    'building',
    'pole',
    'traffic sign',
    'vegetation',
    'sky',
    'person',
    'rider',
    'car',
    'bicycle',
)
num_classes = 11
crop_size = (96, 192)
metainfo = dict(classes=classes)
fit = list(range(32, 96))
load = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='CheckLabels', num_classes=num_classes)]
train_pipeline = [
    *load,
    dict(type='RandomResize', scale=(256, 128), ratio_range=(0.75, 1.5), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.9),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='LeanPackSegInputs'),
]
test_pipeline = [*load, dict(type='PackSegInputs')]
train_prefix = dict(img_path='leftImg8bit/train', seg_map_path='gtFine/train')
val_prefix = dict(img_path='leftImg8bit/val', seg_map_path='gtFine/val')
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=train_prefix,
        metainfo=metainfo,
        indices=fit,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=1,
    dataset=dict(
        type=dataset_type, data_root=data_root, data_prefix=val_prefix, metainfo=metainfo, pipeline=test_pipeline
    ),
)
test_dataloader = val_dataloader
