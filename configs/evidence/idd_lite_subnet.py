# One fixed network from scratch in 300 steps.
_base_ = '../hyctas/idd_lite/hyctas_subnet_1xb8-800_idd-lite-160x224.py'
max_iters = 300
train_dataloader = dict(num_workers=0, persistent_workers=False)  # a worker costs a core 8 ms a step more
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=40),
    dict(type='PolyLR', power=0.9, eta_min=1e-4, by_epoch=False, begin=40, end=max_iters),
]
train_cfg = dict(max_iters=max_iters)
