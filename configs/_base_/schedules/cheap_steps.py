# sgd_poly.py in steps that cost less on a CPU and teach the same (docs/performance.md): maps channels-last, products in
# bfloat16 where the processor has instructions for it.
_base_ = './sgd_poly.py'
default_hooks = dict(channels_last=dict(type='ChannelsLastHook'))
optim_wrapper = dict(type='Bfloat16OptimWrapper')
