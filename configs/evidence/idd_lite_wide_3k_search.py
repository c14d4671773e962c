# The search of the wide space on the supernet of 3000 steps.
_base_ = './idd_lite_wide_search.py'
train_cfg = dict(supernet='work_dirs/idd_lite_wide_3k_supernet/iter_3000.pth')
