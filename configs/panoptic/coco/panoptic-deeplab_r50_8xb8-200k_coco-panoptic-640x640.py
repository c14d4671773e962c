# Panoptic-DeepLab with ResNet-50 at stride 16, the paper's Table 6, trained as HyCTAS-L beside it.
_base_ = './hyctas-l_8xb8-200k_coco-panoptic-640x640.py'
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
        num_things_classes=80,
        num_stuff_classes=53,
        loss_semantic=dict(type='mmdet.CrossEntropyLoss', ignore_index=255, avg_non_ignore=True),
        norm_cfg=norm_cfg,
    ),
)
custom_hooks = None  # there are no paths to drop
