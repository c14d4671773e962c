# A supernet over a wide space, as long as that of a job of 45 minutes: stem, head and low-level fusion are genes too, which the paper keeps fixed.
_base_ = './idd_lite_supernet.py'
max_iters = 3000
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=100),
    dict(type='PolyLR', power=0.9, eta_min=1e-4, by_epoch=False, begin=100, end=max_iters),
]
train_cfg = dict(max_iters=max_iters)
wide = dict(stem_widths=(4, 8, 12), head_widths=(4, 8, 12), low_levels=('none', 's4'), head_attentions=(False, True))
model = dict(backbone=dict(search_space=wide), decode_head=dict(search_space=wide))
