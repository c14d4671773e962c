# Panoptic HyCTAS-L on ADE20K from scratch with the paper's optimiser; batch 16 and 160k steps are mmseg's for ADE20K,
# the settings of the test those for COCO. The paper has no panoptic result on ADE20K.
_base_ = [
    '../../panoptic_runtime.py',
    '../../_base_/datasets/ade20k_panoptic_640x640.py',
    '../../_base_/models/hyctas_panoptic.py',
    '../../_base_/schedules/panoptic_160k.py',
]
part = dict(arch='hyctas-l', base_channels=16, norm_cfg=dict(type='SyncBN', momentum=0.1))
model = dict(
    backbone=part,
    panoptic_head=dict(**part, num_things_classes=100, num_stuff_classes=50),
    test_cfg=dict(nms_kernel=41, stuff_area=4096, stuff_area_hw=(640, 640)),
)
