# HRViT's training for segmentation: AdamW 6e-5, weight decay 0.01 but of norms, 1,500 steps of warm-up, linear decay
# over 160k.
_base_ = './retrain_160k.py'
max_iters = 160000
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01),
    paramwise_cfg=dict(norm_decay_mult=0.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type='PolyLR', power=1.0, eta_min=0, by_epoch=False, begin=1500, end=max_iters),
]
custom_hooks = None
