# One fixed network from scratch, 800 steps: the schedule that exported networks take.
_base_ = [
    '../../default_runtime.py',
    '../../_base_/datasets/idd_lite.py',
    '../../_base_/models/hyctas.py',
    '../../_base_/schedules/cheap_steps.py',
]
optim_wrapper = dict(type='Bfloat16OptimWrapper')  # 'OptimWrapper' trains in float32
max_iters = 800
model = dict(
    data_preprocessor=dict(size={{_base_.crop_size}}),
    backbone=dict(base_channels=6),
    decode_head=dict(base_channels=6, num_classes={{_base_.num_classes}}, loss_decode=dict(type='UpsampledCELoss')),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=100),
    dict(type='PolyLR', power=0.9, eta_min=1e-4, by_epoch=False, begin=100, end=max_iters),
]
train_cfg = dict(max_iters=max_iters)
