# Panoptic HyCTAS-M, trained as S beside it. The paper has panoptic results of L only; 12 is the filter multiplier of S.
_base_ = './hyctas-s_4xb8-186k_cityscapes-panoptic-512x1024.py'
part = dict(arch='hyctas-m', base_channels=12)
model = dict(backbone=part, panoptic_head=part)
