# Plain random sampling, 1500 steps: the short supernet of the evidence.
_base_ = '../hyctas/idd_lite/hyctas_supernet_1xb8-4k_idd-lite-160x224.py'
max_iters = 1500
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=100),
    dict(type='PolyLR', power=0.9, eta_min=1e-4, by_epoch=False, begin=100, end=max_iters),
]
train_cfg = dict(max_iters=max_iters)
custom_hooks = [dict(type='SampleArchHook', seed=0)]
