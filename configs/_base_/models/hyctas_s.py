# HyCTAS-S as published, output stride 8, filter multiplier 12 (paper, section 4.2), with the release's loss: the
# hardest fifth of the pixels.
_base_ = './hyctas.py'
part = dict(arch='hyctas-s', base_channels=12, norm_cfg=dict(type='SyncBN', momentum=0.1))
model = dict(
    backbone=part, decode_head=dict(**part, loss_decode=dict(_delete_=True, type='HardestPixelsCELoss', fraction=0.2))
)
