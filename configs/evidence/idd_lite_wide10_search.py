# The search of the wide space at base channels 10.
_base_ = './idd_lite_wide_search.py'
search_space = dict(base_channels=10)
model = dict(backbone=dict(search_space=search_space), decode_head=dict(search_space=search_space))
train_cfg = dict(supernet='work_dirs/idd_lite_wide10_supernet/iter_1500.pth')
