# What the drop-in segmentors share: HyCTAS-M as the backbone, and a head that reads its pyramid.
norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='LeanSegDataPreProcessor',
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
        in_channels=[96, 64, 128, 384],  # the backbone's out_channels
        num_classes=19,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
