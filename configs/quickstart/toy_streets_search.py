# The quickstart's search on toy streets: 96 candidates, scored on a training city held out from the weights.
_base_ = './toy_streets_supernet.py'
prefix = dict(img_path='leftImg8bit/train', seg_map_path='gtFine/train')
load = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='CheckLabels', num_classes=11),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(sampler=dict(type='DefaultSampler', shuffle=True), dataset=dict(pipeline=load))
val_dataloader = dict(dataset=dict(data_prefix=prefix, indices=32))
train_cfg = dict(
    _delete_=True,
    type='NSGA2SearchLoop',
    supernet='work_dirs/quickstart/toy_streets/supernet/iter_1200.pth',
    input_hw=(128, 256),
    objectives=['mIoU', 'latency_ms'],
    branches=(1, 2, 3),
    population=8,
    generations=4,
    calibration_batches=6,
    num_chosen=3,
    latency_seconds=0.03,
    subnet_config='toy_streets_subnet.py',
)
custom_hooks = []
param_scheduler = None
default_hooks = dict(checkpoint=None)
