# A supernet whose space contains the published S, M and L: the head may read the stem's map at stride 4 (low_level 's4'),
# as M and L do. The paper calls the output stride a setting of retraining (section 4.2); here it is searched.
_base_ = './hyctas_supernet_4xb4-600e_cityscapes-256x512.py'
search_space = dict(low_levels=('none', 's4'))
model = dict(backbone=dict(search_space=search_space), decode_head=dict(search_space=search_space))
