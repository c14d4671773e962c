# A supernet on COCO-Stuff with the settings of our Cityscapes supernet. The paper trains a supernet on Cityscapes only
# and moves the networks it finds.
_base_ = [
    '../../default_runtime.py',
    '../../_base_/datasets/coco_stuff164k_320x320.py',
    '../../_base_/models/hyctas_supernet.py',
    '../../_base_/schedules/supernet_111k.py',
]
model = dict(data_preprocessor=dict(size={{_base_.crop_size}}), decode_head=dict(num_classes={{_base_.num_classes}}))
