# One fixed network as an mmdet panoptic detector. Exported configs have their architecture in place of the name.
_base_ = './panoptic_deeplab.py'
arch = 'hyctas-s'
base_channels = 8
model = dict(
    backbone=dict(arch=arch, base_channels=base_channels), panoptic_head=dict(arch=arch, base_channels=base_channels)
)
