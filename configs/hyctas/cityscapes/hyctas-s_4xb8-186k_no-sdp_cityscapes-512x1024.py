# The first row of the paper's Table 9: 186k steps without scheduled drop path.
_base_ = './hyctas-s_4xb8-186k_cityscapes-512x1024.py'
custom_hooks = []
