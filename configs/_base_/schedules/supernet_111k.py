# The paper's supernet training (section 4.2) for data sets other than Cityscapes: SGD 0.02, momentum 0.9, weight decay
# 5e-4. Its decay of 0.992 an epoch is spread over the 185 steps of an epoch of Cityscapes, so that data sets of any
# size take the steps and the learning rates of our Cityscapes supernet.
_base_ = './common.py'
max_iters = 111000
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=5e-4))
param_scheduler = [dict(type='ExponentialLR', gamma=0.992 ** (1 / 185), by_epoch=False)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=10**9)
auto_scale_lr = dict(base_batch_size=16, enable=False)
default_hooks = dict(logger=dict(log_metric_by_epoch=False), checkpoint=dict(by_epoch=False, interval=3000))
custom_hooks = [dict(type='SampleArchHook', seed=0)]
model_wrapper_cfg = dict(type='SupernetDataParallel')
