# As HyCTAS-S beside it, with HyCTAS-L.
_base_ = './hyctas-s_4xb4-160k_ade20k-640x640.py'
part = dict(arch='hyctas-l', base_channels=16)
model = dict(backbone=part, decode_head=part)
