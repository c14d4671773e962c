# COCO panoptic, 80 thing and 53 stuff classes, for training a network: the release's shortest edges from 320 to 960,
# crops of 640x640; in the test the longer side is 640. Padding has the colour of the mean.
_base_ = './panoptic.py'
dataset_name = 'COCO panoptic'  # for the report
dataset_type = 'PanopticDataset'
data_root = 'data/coco'
crop_size = (640, 640)
pad_val = dict(img=(104, 116, 124), seg=255)  # BGR
edges = list(range(320, 961, 64))  # a list: mmcv takes a tuple for one size
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadPanoptic'),
    dict(type='RandomChoiceResize', scales=edges, resize_type='ResizeShortestEdge', max_size=960),
    dict(type='RandomCrop', crop_size=crop_size, allow_negative_crop=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Pad', size=crop_size, pad_val=pad_val),
    dict(type='PanopticTargets', sigma=8),
    dict(type='PackPanopticInputs'),
]
test_pipeline = [  # segments stay as large as they are: scores count the pixels of the file
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(640, 640), keep_ratio=True),
    dict(type='LoadPanoptic'),
    dict(type='PackPanopticInputs'),
]
train_files = dict(
    ann_file='annotations/panoptic_train2017.json',
    data_prefix=dict(img='train2017', seg='annotations/panoptic_train2017'),
)
val_files = dict(
    ann_file='annotations/panoptic_val2017.json', data_prefix=dict(img='val2017', seg='annotations/panoptic_val2017')
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
