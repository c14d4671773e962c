# sgd_poly.py with maps channels-last, which makes steps on a CPU cheaper and changes rounding only (docs/performance.md).
_base_ = './sgd_poly.py'
default_hooks = dict(channels_last=dict(type='ChannelsLastHook'))
