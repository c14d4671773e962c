# As the plain one; a checkpoint's weights are an exponential average over about 200 steps.
_base_ = './idd_lite_supernet.py'
custom_hooks = [dict(type='SampleArchHook', seed=0), dict(type='EMAHook', momentum=0.005)]
