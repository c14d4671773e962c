# The second row of the paper's Table 9: 186k steps with scheduled drop path up to 0.1.
_base_ = './hyctas-s_4xb8-186k_cityscapes-512x1024.py'
custom_hooks = [dict(type='ScheduledDropPathHook', max_prob=0.1)]
