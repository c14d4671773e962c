# A supernet small enough for two CPU cores: 8 layers, base channels 6, 4000 steps of 8 crops.
_base_ = [
    '../../default_runtime.py',
    '../../_base_/datasets/idd_lite.py',
    '../../_base_/models/hyctas_supernet.py',
    '../../_base_/schedules/cheap_steps.py',
]
optim_wrapper = dict(type='Bfloat16OptimWrapper')  # 'OptimWrapper' trains in float32
search_space = dict(layers=8, base_channels=6)
model = dict(
    data_preprocessor=dict(size={{_base_.crop_size}}),
    backbone=dict(search_space=search_space),
    decode_head=dict(
        search_space=search_space,
        num_classes={{_base_.num_classes}},
        loss_decode=dict(type='UpsampledCELoss'),
    ),
)
custom_hooks = [dict(type='SampleArchHook', seed=0)]
model_wrapper_cfg = dict(type='SupernetDataParallel')
