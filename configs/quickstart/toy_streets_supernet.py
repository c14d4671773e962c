# The quickstart's supernet on toy_streets.
_base_ = [
    '../default_runtime.py',
    '../_base_/datasets/toy_streets.py',
    '../_base_/models/hyctas_supernet.py',
    '../_base_/schedules/sgd_poly.py',
]
max_iters = 1200
search_space = dict(layers=6, base_channels=4)
model = dict(
    data_preprocessor=dict(size=(96, 192)),
    backbone=dict(search_space=search_space),
    decode_head=dict(search_space=search_space, num_classes=11),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=100),
    dict(type='PolyLR', power=0.9, eta_min=1e-4, by_epoch=False, begin=100, end=max_iters),
]
train_cfg = dict(max_iters=max_iters)
custom_hooks = [dict(type='SampleArchHook', seed=0)]
find_unused_parameters = True
