# Panoptic HyCTAS-M, trained as L beside it.
_base_ = './hyctas-l_4xb4-160k_ade20k-panoptic-640x640.py'
part = dict(arch='hyctas-m', base_channels=12)
model = dict(backbone=part, panoptic_head=part)
