# The paper's retraining for panoptic networks over 160k steps: mmseg's usual length on ADE20K.
_base_ = './panoptic_186k.py'
max_iters = 160000
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0, by_epoch=False, begin=0, end=max_iters)]
train_cfg = dict(max_iters=max_iters)
auto_scale_lr = dict(base_batch_size=16)
