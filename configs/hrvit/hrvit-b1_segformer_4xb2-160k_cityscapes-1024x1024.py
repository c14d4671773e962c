_base_ = [
    '../default_runtime.py',
    '../_base_/datasets/cityscapes_1024x1024.py',
    '../_base_/models/hrvit.py',
    '../_base_/schedules/adamw_160k.py',
]
model = dict(
    data_preprocessor=dict(size=(1024, 1024)),
    backbone=dict(drop_path_rate=0.15),
    test_cfg=dict(mode='slide', crop_size=(1024, 1024), stride=(768, 768)),
)
auto_scale_lr = dict(base_batch_size=8)
