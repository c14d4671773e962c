# Panoptic-DeepLab with ResNet-50 at stride 16, trained as HyCTAS-S beside it.
_base_ = './hyctas-s_4xb8-186k_cityscapes-panoptic-512x1024.py'
norm_cfg = dict(type='SyncBN', momentum=0.1)
model = dict(
    backbone=dict(
        _delete_=True,
        type='ResNet',
        depth=50,
        strides=(1, 2, 2, 1),
        dilations=(1, 1, 1, 2),
        norm_cfg=norm_cfg,
        norm_eval=False,
    ),
    panoptic_head=dict(
        _delete_=True,
        type='PanopticDeepLabHead',
        in_channels=[256, 512, 1024, 2048],
        num_things_classes=8,
        num_stuff_classes=11,
        loss_semantic=dict(type='HardestPixelsCELoss', fraction=0.2),
        norm_cfg=norm_cfg,
    ),
)
custom_hooks = None  # there are no paths to drop
