# The paper's supernet training (section 4.2) for data sets other than Cityscapes: SGD 0.02, momentum 0.9, weight decay 5e-4. Its decay of 0.992 an
# epoch is spread over the 185 steps of an epoch of Cityscapes, so that data sets of any size take the steps and the learning rates of our
# Cityscapes supernet.
max_iters = 111000
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=5e-4))
param_scheduler = [dict(type='ExponentialLR', gamma=0.992 ** (1 / 185), by_epoch=False)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=10**9)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=3000, max_keep_ckpts=2),
    sampler_seed=dict(type='DistSamplerSeedHook'),
)
custom_hooks = [dict(type='SampleArchHook', seed=0)]
find_unused_parameters = True
randomness = dict(seed=0)
