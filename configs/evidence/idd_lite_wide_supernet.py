# The short supernet over a wide space: stem, head and low-level fusion are genes too, which the paper keeps fixed.
_base_ = './idd_lite_supernet.py'
wide = dict(stem_widths=(4, 8, 12), head_widths=(4, 8, 12), low_levels=('none', 's4'), head_attentions=(False, True))
model = dict(backbone=dict(search_space=wide), decode_head=dict(search_space=wide))
