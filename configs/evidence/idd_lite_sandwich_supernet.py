# As the plain one in a third of the steps, each of which trains the largest, the smallest and a random architecture.
_base_ = './idd_lite_supernet.py'
max_iters = 500
model = dict(type='SandwichSegmentor')
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=33),
    dict(type='PolyLR', power=0.9, eta_min=1e-4, by_epoch=False, begin=33, end=max_iters),
]
train_cfg = dict(max_iters=max_iters)
custom_hooks = [dict(type='SandwichSampleArchHook', num_random=1, seed=0)]
