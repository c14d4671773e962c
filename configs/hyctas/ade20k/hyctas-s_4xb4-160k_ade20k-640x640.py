# HyCTAS-S on ADE20K from scratch with the paper's optimiser; crop, batch 16 and 160k steps are mmseg's, as the paper
# gives none.
_base_ = [
    '../../default_runtime.py',
    '../../_base_/datasets/ade20k_640x640.py',
    '../../_base_/models/hyctas_s.py',
    '../../_base_/schedules/retrain_160k.py',
]
model = dict(data_preprocessor=dict(size={{_base_.crop_size}}), decode_head=dict(num_classes={{_base_.num_classes}}))
