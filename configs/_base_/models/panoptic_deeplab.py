# What the fixed network and the supernet share as mmdet panoptic detectors; hyctas_panoptic.py and
# hyctas_panoptic_supernet.py say which network.
norm_cfg = dict(type='BN', momentum=0.1)
model = dict(
    type='PanopticDeepLab',
    data_preprocessor=dict(
        type='mmdet.DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=32,
        non_blocking=True,
    ),
    backbone=dict(type='HyCTASBackbone', outputs='branches', norm_cfg=norm_cfg),
    panoptic_head=dict(
        type='HyCTASPanopticHead',
        num_things_classes=80,
        num_stuff_classes=53,
        aux_weight=0.2,
        norm_cfg=norm_cfg,
        loss_semantic=dict(type='HardestPixelsCELoss', fraction=0.2),
    ),
    test_cfg=dict(threshold=0.1, nms_kernel=7, top_k=200, stuff_area=2048),
)
