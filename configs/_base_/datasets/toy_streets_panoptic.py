# Toy streets in COCO-panoptic form (tools/dataset_converters/toy_streets_panoptic.py): 128x256, 4 thing and 7 stuff
# classes. Objects are small, so the Gaussians are narrow (sigma 3). The first of three training cities (a third of the
# images, indices 0..31) is held out to score candidates.
_base_ = './panoptic.py'
dataset_name = 'toy streets panoptic'  # for the report
dataset_type = 'PanopticDataset'
data_root = 'data/toy_streets_panoptic'
fit_images, select_images = list(range(32, 96)), list(range(32))
crop_wh = (192, 96)  # mmdet's crop and pad take (width, height)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadPanoptic'),
    dict(type='RandomResize', scale=(256, 128), ratio_range=(0.75, 1.5), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_wh, allow_negative_crop=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Pad', size=crop_wh),
    dict(type='PanopticTargets', sigma=3, small_area=128),
    dict(type='PackPanopticInputs'),
]
test_pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadPanoptic'), dict(type='PackPanopticInputs')]
train_files = dict(ann_file='panoptic_train.json', data_prefix=dict(img='leftImg8bit/train', seg='panoptic_train'))
val_files = dict(ann_file='panoptic_val.json', data_prefix=dict(img='leftImg8bit/val', seg='panoptic_val'))
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    drop_last=True,
    dataset=dict(type=dataset_type, data_root=data_root, **train_files, indices=fit_images, pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    dataset=dict(type=dataset_type, data_root=data_root, **val_files, pipeline=test_pipeline),
)
test_dataloader = val_dataloader
