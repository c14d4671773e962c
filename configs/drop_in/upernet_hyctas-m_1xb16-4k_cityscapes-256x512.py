# mmseg's upernet_r50 with HyCTAS-M in the place of ResNet-50; its auxiliary head reads the map at stride 16, as there.
_base_ = [
    '../default_runtime.py',
    '../_base_/datasets/cityscapes_256x512.py',
    '../_base_/schedules/sgd_poly.py',
]
norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size=(256, 512),  # the crops, as in every complete config of mmseg
    ),
    pretrained=None,  # there are no published weights
    backbone=dict(type='HyCTASBackbone', arch='hyctas-m', base_channels=12, norm_cfg=norm_cfg),
    decode_head=dict(
        type='UPerHead',
        in_channels=[96, 64, 128, 384],  # the backbone's out_channels
        in_index=[0, 1, 2, 3],
        pool_scales=(1, 2, 3, 6),
        channels=512,
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
    auxiliary_head=dict(
        type='FCNHead',
        in_channels=128,  # out_channels[2]
        in_index=2,
        channels=256,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=0.4),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
