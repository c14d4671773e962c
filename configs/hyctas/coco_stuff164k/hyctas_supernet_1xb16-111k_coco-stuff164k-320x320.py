# A supernet on COCO-Stuff with the settings of our Cityscapes supernet. The paper trains a supernet on Cityscapes only and moves the networks it
# finds.
_base_ = [
    '../../default_runtime.py',
    '../../_base_/datasets/coco_stuff164k_320x320.py',
    '../../_base_/models/hyctas_supernet.py',
    '../../_base_/schedules/supernet_111k.py',
]
search_space = dict(layers=20, base_channels=8)
model = dict(
    data_preprocessor=dict(size=(320, 320)),
    backbone=dict(search_space=search_space),
    decode_head=dict(search_space=search_space, num_classes=171),
)
