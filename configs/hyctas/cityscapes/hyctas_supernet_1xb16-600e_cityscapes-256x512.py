# The paper's supernet (section 4.2): 64 initial channels (base_channels=8), 256x512, batch 16, SGD 0.02, momentum 0.9, weight decay 5e-4, learning
# rate times 0.992 after each epoch. Layers and epochs are ours: the paper gives neither. 20 layers are as many as the longest
# published network has. Of the three the space holds S only: M and L fuse the stem's map at stride 4, and here low_levels is ('none',).
_base_ = [
    '../../default_runtime.py',
    '../../_base_/datasets/cityscapes_256x512.py',
    '../../_base_/models/hyctas_supernet.py',
]
search_space = dict(layers=20, base_channels=8)
model = dict(
    data_preprocessor=dict(size=(256, 512)),
    backbone=dict(search_space=search_space),
    decode_head=dict(search_space=search_space, num_classes=19),
)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=5e-4))
param_scheduler = [dict(type='ExponentialLR', gamma=0.992, by_epoch=True)]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=600, val_interval=10**9)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
log_processor = dict(by_epoch=True)
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='CheckpointHook', by_epoch=True, interval=10, max_keep_ckpts=2),
    sampler_seed=dict(type='DistSamplerSeedHook'),
)
custom_hooks = [dict(type='SampleArchHook', seed=0)]
find_unused_parameters = True
randomness = dict(seed=0)
