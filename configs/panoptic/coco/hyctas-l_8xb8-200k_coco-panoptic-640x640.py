# Panoptic HyCTAS-L on COCO from scratch with the paper's optimiser (section 4.4, Table 6). Length, batch 64 and the
# settings of the test are Panoptic-DeepLab's for COCO (detectron2), as the paper gives none; plain cross entropy as in
# the release.
_base_ = [
    '../../panoptic_runtime.py',
    '../../_base_/datasets/coco_panoptic_640x640.py',
    '../../_base_/models/hyctas_panoptic.py',
    '../../_base_/schedules/panoptic_200k.py',
]
part = dict(arch='hyctas-l', base_channels=16, norm_cfg=dict(type='SyncBN', momentum=0.1))
model = dict(
    backbone=part,
    panoptic_head=dict(
        **part,
        num_things_classes=80,
        num_stuff_classes=53,
        loss_semantic=dict(_delete_=True, type='mmdet.CrossEntropyLoss', ignore_index=255, avg_non_ignore=True),
    ),
    test_cfg=dict(nms_kernel=41, stuff_area=4096),
)
