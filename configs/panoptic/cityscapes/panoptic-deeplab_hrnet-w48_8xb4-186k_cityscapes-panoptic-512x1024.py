# Panoptic-DeepLab with HRNet-W48, the paper's Table 4, trained as HyCTAS-L beside it. Its branches have the sizes that
# Panoptic-DeepLab's authors give them for this backbone (detectron2, separable convolutions).
_base_ = './hyctas-l_8xb4-186k_cityscapes-panoptic-512x1024.py'
norm_cfg = dict(type='SyncBN', momentum=0.1)
channels = [48, 96, 192, 384]
model = dict(
    backbone=dict(
        _delete_=True,
        type='HRNet',
        extra=dict(
            stage1=dict(num_modules=1, num_branches=1, block='BOTTLENECK', num_blocks=(4,), num_channels=(64,)),
            stage2=dict(
                num_modules=1, num_branches=2, block='BASIC', num_blocks=(4,) * 2, num_channels=tuple(channels[:2])
            ),
            stage3=dict(
                num_modules=4, num_branches=3, block='BASIC', num_blocks=(4,) * 3, num_channels=tuple(channels[:3])
            ),
            stage4=dict(
                num_modules=3, num_branches=4, block='BASIC', num_blocks=(4,) * 4, num_channels=tuple(channels)
            ),
        ),
        norm_cfg=norm_cfg,
        norm_eval=False,
    ),
    panoptic_head=dict(
        _delete_=True,
        type='PanopticDeepLabHead',
        in_channels=channels,
        low_level=(2, 1, 0),
        dilations=(3, 6, 9),
        semantic=dict(projections=(128, 64, 32), channels=256, tower_channels=256),
        instance=dict(projections=(128, 64, 32), channels=128, tower_channels=32),
        num_things_classes=8,
        num_stuff_classes=11,
        loss_semantic=dict(type='HardestPixelsCELoss', fraction=0.2),
        norm_cfg=norm_cfg,
    ),
)
custom_hooks = None  # there are no paths to drop
