# COCO panoptic for supernet training and search: half the sides of the 640x640 training, as the paper does with
# Cityscapes (256x512 for 512x1024).
_base_ = './coco_panoptic_640x640.py'
crop_size = (320, 320)
edges = list(range(160, 481, 32))  # a list: mmcv takes a tuple for one size
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadPanoptic'),
    dict(type='RandomChoiceResize', scales=edges, resize_type='ResizeShortestEdge', max_size=480),
    dict(type='RandomCrop', crop_size=crop_size, allow_negative_crop=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Pad', size=crop_size, pad_val={{_base_.pad_val}}),
    dict(type='PanopticTargets', sigma=5, small_area=1024),
    dict(type='PackPanopticInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(320, 320), keep_ratio=True),
    dict(type='LoadPanoptic'),
    dict(type='PackPanopticInputs'),
]
train_dataloader = dict(batch_size=4, drop_last=True, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
