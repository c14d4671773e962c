# mmdet's Panoptic FPN with HyCTAS-M in the place of ResNet-50: a top-down panoptic network. Model and schedule are
# mmdet's but for the backbone and the channels read from it. Data goes through our dataset and metric, as mmdet's need
# panopticapi.
_base_ = 'mmdet::panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py'
custom_imports = dict(imports=['hyctas_mm.register'], allow_failed_imports=False)
model = dict(
    backbone=dict(_delete_=True, type='HyCTASBackbone', arch='hyctas-m', base_channels=12),
    neck=dict(in_channels=[96, 64, 128, 384]),  # the backbone's out_channels
)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadPanoptic'),
    dict(type='Resize', scale=(1333, 800), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PanopticInstances'),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(1333, 800), keep_ratio=True),
    dict(type='LoadPanoptic'),
    dict(type='PackPanopticInputs'),
]
train_dataloader = dict(dataset=dict(type='PanopticDataset', pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(type='PanopticDataset', pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='PanopticQuality', metric=['PQ', 'mIoU'])
test_evaluator = val_evaluator
visualizer = dict(type='PanopticVisualizer')
