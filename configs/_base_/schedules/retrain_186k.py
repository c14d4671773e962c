# The paper's retraining (section 4.2): SGD 0.005, momentum 0.9, weight decay 5e-4, poly 0.9 over 186k steps, scheduled
# drop path up to 0.2 (Table 9).
_base_ = './common.py'
max_iters = 186000
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.005, momentum=0.9, weight_decay=5e-4))
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0, by_epoch=False, begin=0, end=max_iters)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=16000)
auto_scale_lr = dict(base_batch_size=32, enable=False)  # images of a step, all processes together
custom_hooks = [dict(type='ScheduledDropPathHook', max_prob=0.2)]
default_hooks = dict(
    logger=dict(log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=16000, save_best='mIoU'),
)
