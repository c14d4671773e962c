# As the plain one, with as many steps for each combination of output strides.
_base_ = './idd_lite_supernet.py'
custom_hooks = [dict(type='BalancedSampleArchHook', seed=0)]
