# The search of the wide space, with as many candidates as that of the paper's.
_base_ = './idd_lite_search.py'
wide = dict(stem_widths=(4, 8, 12), head_widths=(4, 8, 12), low_levels=('none', 's4'), head_attentions=(False, True))
model = dict(backbone=dict(search_space=wide), decode_head=dict(search_space=wide))
train_cfg = dict(supernet='work_dirs/idd_lite_wide_supernet/iter_1500.pth')
