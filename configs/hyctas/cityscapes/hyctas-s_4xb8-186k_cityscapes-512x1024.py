# HyCTAS-S from scratch with the paper's retraining (section 4.2): crops of 512x1024, batch 32, 186k steps; what the
# search exports takes this data and schedule.
_base_ = [
    '../../default_runtime.py',
    '../../_base_/datasets/cityscapes_512x1024.py',
    '../../_base_/models/hyctas_s.py',
    '../../_base_/schedules/retrain_186k.py',
]
model = dict(data_preprocessor=dict(size={{_base_.crop_size}}))
