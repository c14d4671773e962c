# The quickstart's search on camvid: 96 candidates, scored on training images held out from the weights.
_base_ = './camvid_supernet.py'
load = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='CheckLabels', num_classes=11),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(sampler=dict(type='DefaultSampler', shuffle=True), dataset=dict(part='fit', pipeline=load))
val_dataloader = dict(
    dataset=dict(part='select', data_prefix=dict(img_path='images/train', seg_map_path='labels/train')),
)
train_cfg = dict(
    _delete_=True,
    type='NSGA2SearchLoop',
    supernet='work_dirs/quickstart/camvid/supernet/iter_1000.pth',
    input_hw=(360, 480),
    objectives=['mIoU', 'latency_ms'],
    branches=(1, 2, 3),
    population=8,
    generations=4,
    calibration_batches=6,
    num_chosen=3,
    latency_seconds=0.03,
    subnet_config='camvid_subnet.py',
)
custom_hooks = []
param_scheduler = None
default_hooks = dict(checkpoint=None)
