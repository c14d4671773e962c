# Panoptic-DeepLab with MobileNetV3-Large, the paper's Table 6, trained as HyCTAS-L beside it.
_base_ = './panoptic-deeplab_r50_8xb8-200k_coco-panoptic-640x640.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='StridedMobileNetV3',
        out_indices=(3, 6, 16),  # strides 4, 8 and 32
        norm_cfg=dict(type='SyncBN', momentum=0.1),
    ),
    panoptic_head=dict(in_channels=[24, 40, 960], dilations=(3, 6, 9)),
)
