# The supernet as an mmdet panoptic detector. `search_space` is replaced by `arch` when a subnet is cut out.
search_space = dict(layers=12, base_channels=8)
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
    backbone=dict(type='HyCTASBackbone', search_space=search_space, outputs='branches', norm_cfg=norm_cfg),
    panoptic_head=dict(
        type='HyCTASPanopticHead',
        search_space=search_space,
        num_things_classes=80,
        num_stuff_classes=53,
        aux_weight=0.2,
        norm_cfg=norm_cfg,
        loss_semantic=dict(type='HardestPixelsCELoss', fraction=0.2),
    ),
    test_cfg=dict(threshold=0.1, nms_kernel=7, top_k=200, stuff_area=2048),
)
