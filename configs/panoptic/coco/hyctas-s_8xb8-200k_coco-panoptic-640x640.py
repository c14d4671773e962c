# Panoptic HyCTAS-S, trained as L beside it; what the search exports takes this data and schedule.
_base_ = './hyctas-l_8xb8-200k_coco-panoptic-640x640.py'
part = dict(arch='hyctas-s', base_channels=12)
model = dict(backbone=part, panoptic_head=part)
