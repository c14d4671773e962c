# mmseg's upernet_r50 with HyCTAS-M in the place of ResNet-50; its auxiliary head reads the map at stride 16, as there.
_base_ = [
    '../default_runtime.py',
    '../_base_/datasets/cityscapes_256x512.py',
    '../_base_/models/drop_in.py',
    '../_base_/schedules/sgd_poly.py',
]
model = dict(
    decode_head=dict(type='UPerHead', in_index=[0, 1, 2, 3], pool_scales=(1, 2, 3, 6), channels=512, dropout_ratio=0.1),
    auxiliary_head=dict(
        type='FCNHead',
        in_channels=128,  # out_channels[2]
        in_index=2,
        channels=256,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg={{_base_.norm_cfg}},
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=0.4),
    ),
)
auto_scale_lr = dict(base_batch_size=16)
