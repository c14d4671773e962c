# The quickstart's retraining of one network on toy streets.
_base_ = [
    '../default_runtime.py',
    '../_base_/datasets/toy_streets.py',
    '../_base_/models/hyctas.py',
    '../_base_/schedules/sgd_poly.py',
]
max_iters = 300
model = dict(
    data_preprocessor=dict(size={{_base_.crop_size}}),
    backbone=dict(base_channels=4),
    decode_head=dict(base_channels=4, num_classes={{_base_.num_classes}}),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=50),
    dict(type='PolyLR', power=0.9, eta_min=1e-4, by_epoch=False, begin=50, end=max_iters),
]
train_cfg = dict(max_iters=max_iters)
