# Panoptic HyCTAS-S from scratch with the paper's retraining (section 4.2): crops of 512x1024, batch 32, 186k steps, the
# hardest fifth of the pixels; what the search exports takes this data and schedule. The paper has panoptic results of L
# only.
_base_ = [
    '../../panoptic_runtime.py',
    '../../_base_/datasets/cityscapes_panoptic_512x1024.py',
    '../../_base_/models/hyctas_panoptic.py',
    '../../_base_/schedules/panoptic_186k.py',
]
part = dict(arch='hyctas-s', base_channels=12, norm_cfg=dict(type='SyncBN', momentum=0.1))
model = dict(backbone=part, panoptic_head=dict(**part, num_things_classes=8, num_stuff_classes=11))
