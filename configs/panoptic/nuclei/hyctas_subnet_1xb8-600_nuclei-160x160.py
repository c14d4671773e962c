# One fixed panoptic network from scratch, 600 steps: the schedule that exported networks take.
_base_ = [
    '../../panoptic_runtime.py',
    '../../_base_/datasets/nuclei_panoptic.py',
    '../../_base_/models/hyctas_panoptic.py',
    '../../_base_/schedules/panoptic_sgd_poly.py',
]
max_iters = 600
model = dict(
    backbone=dict(base_channels=4),
    panoptic_head=dict(base_channels=4, num_things_classes=1, num_stuff_classes=1),
    test_cfg=dict(nms_kernel=5, top_k=400, stuff_area=0),
)
train_dataloader = dict(dataset=dict(indices=None))  # the weights that are judged may see every training image
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=100),
    dict(type='PolyLR', power=0.9, eta_min=1e-4, by_epoch=False, begin=100, end=max_iters),
]
train_cfg = dict(max_iters=max_iters)
