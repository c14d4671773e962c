# One fixed network as an mmseg segmentor. Exported configs have their architecture in place of the name.
_base_ = './segmentor.py'
arch = 'hyctas-s'
base_channels = 8
model = dict(
    backbone=dict(arch=arch, base_channels=base_channels), decode_head=dict(arch=arch, base_channels=base_channels)
)
