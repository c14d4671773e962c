# Cityscapes panoptic for supernet training and search: images at a quarter of their sides, as the paper's semantic
# supernet has them (section 4.2). Objects are a quarter of their size too; sigma is 4 and not 2.5, as logits have a
# stride of 4 or 8. Predictions are scored at 1024x2048.
_base_ = './cityscapes_panoptic_512x1024.py'
crop_wh = (512, 256)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadPanoptic'),
    dict(type='RandomResize', scale=(512, 256), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_wh, allow_negative_crop=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Pad', size=crop_wh, pad_val={{_base_.pad_val}}),
    dict(type='PanopticTargets', sigma=4, small_area=256),
    dict(type='PackPanopticInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(512, 256), keep_ratio=True),
    dict(type='LoadPanoptic'),
    dict(type='PackPanopticInputs'),
]
train_dataloader = dict(batch_size=16, drop_last=True, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=4, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(metric=['PQ', 'mIoU'])
test_evaluator = val_evaluator
