# The quickstart's supernet on toy streets.
_base_ = [
    '../default_runtime.py',
    '../_base_/datasets/toy_streets.py',
    '../_base_/models/quickstart_supernet.py',
    '../_base_/schedules/sgd_poly.py',
]
max_iters = 1200
model = dict(data_preprocessor=dict(size={{_base_.crop_size}}), decode_head=dict(num_classes={{_base_.num_classes}}))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=100),
    dict(type='PolyLR', power=0.9, eta_min=1e-4, by_epoch=False, begin=100, end=max_iters),
]
train_cfg = dict(max_iters=max_iters)
custom_hooks = [dict(type='SampleArchHook', seed=0)]
model_wrapper_cfg = dict(type='SupernetDataParallel')
