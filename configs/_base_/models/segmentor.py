# What the fixed network and the supernet share as mmseg segmentors; hyctas.py and hyctas_supernet.py say which network.
norm_cfg = dict(type='BN', momentum=0.1)
data_preprocessor = dict(
    type='LeanSegDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=data_preprocessor,
    backbone=dict(type='HyCTASBackbone', outputs='branches', norm_cfg=norm_cfg),
    decode_head=dict(
        type='HyCTASHead',
        num_classes=19,
        aux_weight=0.2,
        norm_cfg=norm_cfg,
        loss_decode=dict(type='CrossEntropyLoss'),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
