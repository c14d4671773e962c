# As sgd_poly.py, and `mim test --show-dir` draws.
_base_ = './sgd_poly.py'
default_hooks = dict(visualization=dict(type='DetVisualizationHook'))
