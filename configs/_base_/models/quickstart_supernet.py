# The quickstart's supernet: 6 layers, base channels 4.
_base_ = './hyctas_supernet.py'
search_space = dict(layers=6, base_channels=4)
model = dict(backbone=dict(search_space=search_space), decode_head=dict(search_space=search_space))
