# The paper's supernet (section 4.2): 64 initial channels (base_channels=8), 256x512, batch 16, SGD 0.02, momentum 0.9,
# weight decay 5e-4, learning rate times 0.992 after each epoch. Layers and epochs are ours: the paper gives neither. 20
# layers are as many as the longest published network has. Of the three the space holds S only: M and L fuse the stem's
# map at stride 4, and here low_levels is ('none',).
_base_ = [
    '../../default_runtime.py',
    '../../_base_/datasets/cityscapes_256x512.py',
    '../../_base_/models/hyctas_supernet.py',
    '../../_base_/schedules/common.py',
]
model = dict(data_preprocessor=dict(size={{_base_.crop_size}}))
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=5e-4))
param_scheduler = [dict(type='ExponentialLR', gamma=0.992, by_epoch=True)]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=600, val_interval=10**9)
log_processor = dict(by_epoch=True)
default_hooks = dict(checkpoint=dict(by_epoch=True, interval=10))
custom_hooks = [dict(type='SampleArchHook', seed=0)]
model_wrapper_cfg = dict(type='SupernetDataParallel')
auto_scale_lr = dict(base_batch_size=16, enable=False)
