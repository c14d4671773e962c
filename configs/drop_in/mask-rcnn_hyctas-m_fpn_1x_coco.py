# mmdet's Mask R-CNN with HyCTAS-M in the place of ResNet-50.
_base_ = 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'
custom_imports = dict(imports=['hyctas_mm.register'], allow_failed_imports=False)
model = dict(
    backbone=dict(_delete_=True, type='HyCTASBackbone', arch='hyctas-m', base_channels=12),
    neck=dict(in_channels=[96, 64, 128, 384]),  # the backbone's out_channels
)
