_base_ = [
    '../default_runtime.py',
    '../_base_/datasets/ade20k_512x512.py',
    '../_base_/models/hrvit.py',
    '../_base_/schedules/adamw_160k.py',
]
model = dict(
    data_preprocessor=dict(size=(512, 512)),
    backbone=dict(arch='b2', drop_path_rate=0.2),
    decode_head=dict(in_channels=[48, 96, 240, 384], num_classes=150),
)
auto_scale_lr = dict(base_batch_size=16)
