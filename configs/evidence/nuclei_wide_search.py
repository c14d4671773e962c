# The search of that space: candidates are scored on 42 training images that no weight saw.
_base_ = '../panoptic/nuclei/hyctas_search_nuclei-256x256.py'
wide = dict(stem_widths=(4, 8, 12), head_widths=(4, 8, 12), head_attentions=(False, True))
model = dict(backbone=dict(search_space=wide), panoptic_head=dict(search_space=wide))
train_cfg = dict(
    supernet='work_dirs/nuclei_wide_supernet/iter_2000.pth', num_chosen=4, subnet_config='nuclei_subnet_landmarks.py'
)
