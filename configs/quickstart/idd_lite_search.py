# The quickstart's search on idd_lite: 96 candidates, scored on training images held out from the weights.
_base_ = './idd_lite_supernet.py'
load = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='CheckLabels', num_classes=7),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(sampler=dict(type='DefaultSampler', shuffle=True), dataset=dict(part='fit', pipeline=load))
val_dataloader = dict(
    dataset=dict(part='select', data_prefix=dict(img_path='images/train', seg_map_path='labels/train')),
)
train_cfg = dict(
    _delete_=True,
    type='NSGA2SearchLoop',
    supernet='work_dirs/quickstart/idd_lite/supernet/iter_1500.pth',
    input_hw=(227, 320),
    objectives=['mIoU', 'latency_ms'],
    branches=(1, 2, 3),
    population=8,
    generations=4,
    calibration_batches=6,
    num_chosen=3,
    latency_seconds=0.03,
    subnet_config='idd_lite_subnet.py',
)
custom_hooks = []
param_scheduler = None
default_hooks = dict(checkpoint=None)
