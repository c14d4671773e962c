# HRViT-b1 with SegFormer's head, as HRViT trains it: linear projections. Weights start random: the authors published
# none.
_base_ = './segmentor.py'
norm_cfg = dict(type='SyncBN', momentum=0.1)
model = dict(
    backbone=dict(_delete_=True, type='HRViT', arch='b1', norm_cfg=norm_cfg),
    decode_head=dict(
        _delete_=True,
        type='LinearSegformerHead',
        in_channels=[32, 64, 128, 256],  # the backbone's out_channels
        in_index=[0, 1, 2, 3],
        channels=256,
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
)
