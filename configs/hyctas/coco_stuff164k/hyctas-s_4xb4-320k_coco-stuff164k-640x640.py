# HyCTAS-S on COCO-Stuff from scratch with the paper's optimiser; batch 16 and 320k steps are mmseg's. The release's
# loss for COCO is the plain cross entropy, mean over the pixels that are not void.
_base_ = [
    '../../default_runtime.py',
    '../../_base_/datasets/coco_stuff164k_640x640.py',
    '../../_base_/models/hyctas_s.py',
    '../../_base_/schedules/retrain_320k.py',
]
loss = dict(_delete_=True, type='CrossEntropyLoss', avg_non_ignore=True)
model = dict(
    data_preprocessor=dict(size={{_base_.crop_size}}),
    decode_head=dict(num_classes={{_base_.num_classes}}, loss_decode=loss),
)
