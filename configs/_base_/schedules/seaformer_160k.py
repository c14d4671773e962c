# SeaFormer's training for segmentation: adamw_160k.py with a head that learns ten times as fast as the backbone, which
# has ImageNet weights there, and no weight decay of tables of positions. Configs add the learning rate.
_base_ = './adamw_160k.py'
optim_wrapper = dict(
    paramwise_cfg=dict(
        _delete_=True,
        custom_keys={'head': dict(lr_mult=10.0), 'position': dict(decay_mult=0.0), 'bn': dict(decay_mult=0.0)},
    ),
)
