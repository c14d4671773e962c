# Panoptic HyCTAS-L, trained as S beside it. The paper's Table 4.
_base_ = './hyctas-s_4xb8-186k_cityscapes-panoptic-512x1024.py'
part = dict(arch='hyctas-l', base_channels=16)
model = dict(backbone=part, panoptic_head=part)
train_dataloader = dict(batch_size=4)  # the largest network: half the images on twice the GPUs, 32 in all
