# Nuclei (Data Science Bowl 2018) in COCO-panoptic form: one thing class and background. Nuclei are small, so the
# Gaussians are narrow (sigma 4). Of the 502 training images the first 460 train; the search scores on the other 42
# (names are hashes, so their order is random); the 162 validation images judge the result only.
_base_ = './panoptic.py'
dataset_name = 'nuclei'  # for the report
dataset_type = 'PanopticDataset'
data_root = 'data/nuclei_panoptic'
fit_images, select_images = list(range(460)), list(range(460, 502))
crop_size = (160, 160)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadPanoptic'),
    dict(
        type='RandomChoice',
        transforms=[[dict(type='Resize', scale_factor=f, keep_ratio=True)] for f in (0.75, 1.0, 1.5)],
    ),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomCrop', crop_size=crop_size, allow_negative_crop=True),
    dict(type='Pad', size=crop_size),
    dict(type='PanopticTargets', sigma=4),
    dict(type='PackPanopticInputs'),
]
test_pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadPanoptic'), dict(type='PackPanopticInputs')]
train_files = dict(ann_file='panoptic_train.json', data_prefix=dict(img='images/train', seg='panoptic_train'))
val_files = dict(ann_file='panoptic_val.json', data_prefix=dict(img='images/val', seg='panoptic_val'))
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    drop_last=True,
    dataset=dict(type=dataset_type, data_root=data_root, **train_files, indices=fit_images, pipeline=train_pipeline),
)
val_dataloader = dict(
    num_workers=0,
    dataset=dict(type=dataset_type, data_root=data_root, **val_files, pipeline=test_pipeline),
)
test_dataloader = val_dataloader
