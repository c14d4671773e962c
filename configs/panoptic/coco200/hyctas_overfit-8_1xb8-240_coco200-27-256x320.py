# A check of the whole chain on real images: a small network learns eight images by heart and is tested on the same
# eight. No augmentation; every image is resized to 256x320 whatever its shape. They are the first eight of the training
# images without crowds and without segments below 400 pixels.
_base_ = [
    '../../panoptic_runtime.py',
    '../../_base_/datasets/coco200_panoptic.py',
    '../../_base_/models/hyctas_panoptic.py',
    '../../_base_/schedules/panoptic_sgd_poly.py',
]
max_iters = 240
images = [0, 1, 2, 3, 5, 12, 13, 14]
size_wh = (320, 256)
# Two branches that end at strides 8 and 32, logits at stride 4: op, output width in twelfths, whether it goes down.
fine = [('lite_conv_2x', 12, False), ('lite_conv_2x', 12, False)]
coarse = [
    ('conv', 12, True),
    ('lite_conv_2x', 12, False),
    ('conv', 12, True),
    ('attention', 12, False),
    ('conv', 12, False),
]
arch = dict(
    _delete_=True,
    format='hyctas_mm/arch-1',
    branches=[[dict(op=op, width=width, down=down) for op, width, down in cells] for cells in (fine, coarse)],
    stem_width=12,
    head_width=12,
    low_level='s4',
    head_attention=True,
)
model = dict(
    backbone=dict(arch=dict(**arch), base_channels=4),
    panoptic_head=dict(
        arch=dict(**arch),
        base_channels=4,
        num_things_classes=12,
        num_stuff_classes=15,
        loss_semantic=dict(anneal_steps=max_iters // 2),
    ),
    test_cfg=dict(nms_kernel=15, stuff_area=300, stuff_area_hw=(480, 640)),
)
dataset = dict(
    ann_file='panoptic27_train.json', data_prefix=dict(img='images/train', seg='panoptic27_train'), indices=images
)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadPanoptic'),
    dict(type='Resize', scale=size_wh, keep_ratio=False),
    dict(type='PanopticTargets', sigma=6, small_area=0),
    dict(type='PackPanopticInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=size_wh, keep_ratio=False),
    dict(type='LoadPanoptic'),
    dict(type='PackPanopticInputs'),
]
train_dataloader = dict(batch_size=8, dataset=dict(**dataset, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(**dataset, pipeline=test_pipeline))
test_dataloader = val_dataloader
optim_wrapper = dict(
    _delete_=True, type='OptimWrapper', optimizer=dict(type='Adam', lr=2e-3), clip_grad=dict(max_norm=5.0)
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=20),
    dict(type='PolyLR', power=0.9, eta_min=1e-6, by_epoch=False, begin=20, end=max_iters),
]
train_cfg = dict(max_iters=max_iters, val_interval=80)
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(interval=max_iters, max_keep_ckpts=1))
