# The supernet of the wide space with about as many steps as a job of 45 minutes has.
_base_ = './idd_lite_wide_supernet.py'
max_iters = 3000
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=100),
    dict(type='PolyLR', power=0.9, eta_min=1e-4, by_epoch=False, begin=100, end=max_iters),
]
train_cfg = dict(max_iters=max_iters)
