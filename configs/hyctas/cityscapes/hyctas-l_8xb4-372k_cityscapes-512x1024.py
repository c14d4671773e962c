# HyCTAS-L (output stride 4, filter multiplier 16) with Table 9's long training.
_base_ = './hyctas-s_4xb8-372k_cityscapes-512x1024.py'
part = dict(arch='hyctas-l', base_channels=16)
model = dict(backbone=part, decode_head=part)
train_dataloader = dict(batch_size=4)  # the largest network: half the images on twice the GPUs, 32 in all
