# The one training recipe that the release holds, for a network that the paper does not print: the architecture of
# HyCTAS-S, but filter multiplier 16 and output stride 4. 4000 epochs of 186 steps of 16 images; SGD 0.05 with weight
# decay 1e-4, where the paper says 0.005 and 5e-4. Left out: the triple weight of instances below 4096 pixels (labels of
# classes do not tell instances) and the drop path, which drops nothing there.
_base_ = [
    '../../default_runtime.py',
    '../../_base_/datasets/cityscapes_512x1024.py',
    '../../_base_/models/hyctas_s.py',
    '../../_base_/schedules/retrain_186k.py',
]
max_iters = 4000 * 186
crop_size = (512, 1024)
# hyctas-s with low_level 's4': op, output width in twelfths, whether it goes down
cells = [
    ('lite_conv_2x', 8, False),
    ('lite_conv', 8, True),
    ('lite_conv', 8, False),
    ('conv', 4, True),
    ('lite_conv', 8, False),
    ('attention', 10, False),
    ('conv', 4, False),
    ('lite_conv_2x', 10, False),
    ('lite_conv_2x', 4, False),
    ('lite_conv', 8, False),
    ('lite_conv_2x', 12, False),
]
arch = dict(
    _delete_=True,
    format='hyctas_mm/arch-1',
    branches=[[dict(op=op, width=width, down=down) for op, width, down in cells]],
    stem_width=12,
    head_width=12,
    low_level='s4',
    head_attention=True,
)
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(arch=dict(**arch), base_channels=16),
    decode_head=dict(arch=dict(**arch), base_channels=16),
)
# a list: mmcv takes a tuple for one size
sizes = [
    512,
    640,
    704,
    832,
    896,
    1024,
    1152,
    1216,
    1344,
    1408,
    1536,
    1664,
    1728,
    1856,
    1920,
    2048,
]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='CheckLabels', num_classes=19),
    dict(type='RandomChoiceResize', scales=sizes, resize_type='ResizeShortestEdge', max_size=4096),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(batch_size=2, dataset=dict(pipeline=train_pipeline))
# The learning rate of step i is 5e-6 * (0.05 / 5e-6) ** (i / 1000) up to step 1000, then 0.05 * (1 - (i - 1000) /
# (max_iters - 1000)) ** 0.9. mmengine's ExponentialLR has no target, so the optimiser starts at 5e-6 and it multiplies
# a thousand times; both schedulers stop one step before their `end`.
optim_wrapper = dict(optimizer=dict(lr=5e-6, weight_decay=1e-4), clip_grad=dict(max_norm=1.0))
param_scheduler = [
    dict(type='ExponentialLR', gamma=(0.05 / 5e-6) ** (1 / 1000), by_epoch=False, begin=0, end=1001),
    dict(type='PolyLR', power=0.9, eta_min=0, by_epoch=False, begin=1000, end=max_iters + 1),
]
train_cfg = dict(max_iters=max_iters, val_begin=max_iters // 4)  # the release tests after a quarter of the epochs
custom_hooks = []
auto_scale_lr = dict(base_batch_size=16)
