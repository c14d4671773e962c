# Panoptic-DeepLab with MobileNetV3-Large, trained as the networks of the search.
_base_ = './hyctas_subnet_1xb8-300_nuclei-160x160.py'
max_iters = 300
norm_cfg = dict(type='BN', momentum=0.1)
model = dict(
    backbone=dict(
        _delete_=True,
        type='StridedMobileNetV3',
        out_indices=(3, 6, 16),  # strides 4, 8 and 32
        norm_cfg=norm_cfg,
    ),
    panoptic_head=dict(
        _delete_=True,
        type='PanopticDeepLabHead',
        in_channels=[24, 40, 960],
        dilations=(3, 6, 9),
        num_things_classes=1,
        num_stuff_classes=1,
        loss_semantic=dict(type='HardestPixelsCELoss', fraction=0.2, anneal_steps=max_iters // 2),
        norm_cfg=norm_cfg,
    ),
)
