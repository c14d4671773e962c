# The wide space at base channels 10 in place of 6: larger networks at the expensive end, and stems and heads that can
# still be small.
_base_ = './idd_lite_wide_supernet.py'
search_space = dict(base_channels=10)
model = dict(backbone=dict(search_space=search_space), decode_head=dict(search_space=search_space))
