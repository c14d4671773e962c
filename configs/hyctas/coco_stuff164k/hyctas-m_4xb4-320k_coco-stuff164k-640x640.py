# As HyCTAS-S beside it, with HyCTAS-M.
_base_ = './hyctas-s_4xb4-320k_coco-stuff164k-640x640.py'
part = dict(arch='hyctas-m', base_channels=12)
model = dict(backbone=part, decode_head=part)
