# The supernet as an mmdet panoptic detector: the space of the paper's searches. `search_space` is replaced by `arch`
# when a subnet is cut out.
_base_ = './panoptic_deeplab.py'
search_space = dict(layers=20, base_channels=8)
model = dict(backbone=dict(search_space=search_space), panoptic_head=dict(search_space=search_space))
