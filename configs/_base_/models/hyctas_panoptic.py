# One fixed network as an mmdet panoptic detector. Exported configs have their architecture in place of the name.
arch = 'hyctas-s'
base_channels = 8
norm_cfg = dict(type='BN', momentum=0.1)
model = dict(
    type='PanopticDeepLab',
    data_preprocessor=dict(
        type='mmdet.DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=32,
    ),
    backbone=dict(type='HyCTASBackbone', arch=arch, base_channels=base_channels, outputs='branches', norm_cfg=norm_cfg),
    panoptic_head=dict(
        type='HyCTASPanopticHead',
        arch=arch,
        base_channels=base_channels,
        num_things_classes=80,
        num_stuff_classes=53,
        aux_weight=0.2,
        norm_cfg=norm_cfg,
        loss_semantic=dict(type='HardestPixelsCELoss', fraction=0.2),
    ),
    test_cfg=dict(threshold=0.1, nms_kernel=7, top_k=200, stuff_area=2048),
)
