# As the plain one, with every op of a cell trained equally often.
_base_ = './idd_lite_supernet.py'
custom_hooks = [dict(type='FairSampleArchHook', seed=0)]
