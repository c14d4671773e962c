# HyCTAS-M as published, output stride 4, with the release's loss: the hardest fifth of the pixels. The paper names no filter multiplier for M; 12 is
# that of HyCTAS-S.
_base_ = './hyctas.py'
part = dict(arch='hyctas-m', base_channels=12, norm_cfg=dict(type='SyncBN', momentum=0.1))
model = dict(backbone=part, decode_head=dict(**part, loss_decode=dict(_delete_=True, type='HardestPixelsCELoss', fraction=0.2)))
