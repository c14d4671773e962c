# HyCTAS-L from scratch with the paper's retraining (section 4.2): crops of 512x1024, batch 32, 372k steps, Table 9's long training.
_base_ = [
    '../../default_runtime.py',
    '../../_base_/datasets/cityscapes_512x1024.py',
    '../../_base_/models/hyctas_l.py',
    '../../_base_/schedules/retrain_372k.py',
]
model = dict(data_preprocessor=dict(size=(512, 1024)))
train_dataloader = dict(batch_size=4)  # the largest network: half the images on twice the GPUs, 32 in all
