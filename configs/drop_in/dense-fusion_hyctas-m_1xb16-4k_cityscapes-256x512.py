# mmseg's fpn_r50 with HyCTAS-M in the place of ResNet-50, and in that of the FPN a dense fusion whose connections are
# learned; afterwards `tools/prune_fusion.py` removes those that stayed shut.
_base_ = [
    '../default_runtime.py',
    '../_base_/datasets/cityscapes_256x512.py',
    '../_base_/models/drop_in.py',
    '../_base_/schedules/sgd_poly.py',
]
model = dict(
    neck=dict(
        type='DenseFusionNeck',
        in_channels=[96, 64, 128, 384],  # the backbone's out_channels and out_strides
        strides=[4, 8, 16, 32],
        out_channels=256,
        norm_cfg={{_base_.norm_cfg}},
    ),
    decode_head=dict(
        type='FPNHead',
        in_channels=[256, 256, 256, 256],
        in_index=[0, 1, 2, 3],
        feature_strides=[4, 8, 16, 32],
        channels=128,
        dropout_ratio=0.1,
    ),
)
custom_hooks = [dict(type='GateSparsityHook')]
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'gate_logits': dict(lr_mult=100, decay_mult=0)}))
auto_scale_lr = dict(base_batch_size=16)
