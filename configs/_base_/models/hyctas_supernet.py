# The supernet as an mmseg segmentor: the space of the paper's searches. `search_space` is replaced by `arch` when a
# subnet is cut out.
_base_ = './segmentor.py'
search_space = dict(layers=20, base_channels=8)
model = dict(backbone=dict(search_space=search_space), decode_head=dict(search_space=search_space))
