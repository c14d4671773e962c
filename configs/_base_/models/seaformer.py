# SeaFormer-S with its head. Weights start random: the authors' ImageNet weights are not converted.
_base_ = './segmentor.py'
norm_cfg = dict(type='SyncBN', momentum=0.1)
model = dict(
    backbone=dict(_delete_=True, type='SeaFormer', arch='s', drop_path_rate=0.1, norm_cfg=norm_cfg),
    decode_head=dict(
        _delete_=True,
        type='LightHead',
        in_channels=[48, 160, 192],  # the backbone's out_channels
        in_index=[0, 1, 2],
        embed_channels=[96, 128],
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
)
