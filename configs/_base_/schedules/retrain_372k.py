# The paper's retraining over 372k steps: Table 9's long training.
_base_ = './retrain_186k.py'
max_iters = 372000
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0, by_epoch=False, begin=0, end=max_iters)]
train_cfg = dict(max_iters=max_iters)
