_base_ = [
    '../default_runtime.py',
    '../_base_/datasets/cityscapes_1024x1024.py',
    '../_base_/models/hrvit.py',
    '../_base_/schedules/adamw_160k.py',
]
model = dict(
    data_preprocessor=dict(size=(1024, 1024)),
    backbone=dict(arch='b3', drop_path_rate=0.3),
    decode_head=dict(in_channels=[64, 128, 256, 512], channels=768),
    test_cfg=dict(mode='slide', crop_size=(1024, 1024), stride=(768, 768)),
)
auto_scale_lr = dict(base_batch_size=8)
