# HyCTAS-M with Table 9's long training. The paper names no filter multiplier for M; 12 is that of HyCTAS-S.
_base_ = './hyctas-s_4xb8-372k_cityscapes-512x1024.py'
part = dict(arch='hyctas-m', base_channels=12)
model = dict(backbone=part, decode_head=part)
