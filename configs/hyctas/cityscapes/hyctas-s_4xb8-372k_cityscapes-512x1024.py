# HyCTAS-S with Table 9's long training: 372k steps.
_base_ = './hyctas-s_4xb8-186k_cityscapes-512x1024.py'
max_iters = 372000
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0, by_epoch=False, begin=0, end=max_iters)]
train_cfg = dict(max_iters=max_iters)
